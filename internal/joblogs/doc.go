// Package joblogs reads the logs of a finished Job's pods: which containers to
// ask for, within bounds on open streams, on bytes in memory and on silence;
// whether what came was the log, and all of it; and if not, why, and whether
// time could heal that. It decides nothing about storing or deleting, never
// retries later (its caller does) and must not import controllers.
package joblogs
