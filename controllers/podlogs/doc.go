// Package podlogs keeps what is left of pods that are deleted, or whose containers
// restart, before the results of their Job are stored. It watches the pods of opted-in
// Jobs and has package capture follow and read their logs. What the manager's memory
// should not lose it saves beside the Job, in objects that belong to the Job, and loads
// it again when the Job is stored. Package job decides when that is.
//
// It must not import other controllers or webhooks.
package podlogs
