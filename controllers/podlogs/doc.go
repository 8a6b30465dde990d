// Package podlogs keeps logs of pods that are deleted, or whose containers restart, before
// the results of their Job are stored. It watches the pods of opted-in Jobs, and package
// capture follows and reads their logs. Package podlogs saves captures beside the Job, in
// objects that the Job owns, and loads them again when the Job is stored. Package job
// decides when that is.
//
// It must not import other controllers or webhooks.
package podlogs
