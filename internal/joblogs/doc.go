// Package joblogs reads the logs of a Job's pods. It decides which containers to
// ask, within limits on open streams, on bytes in memory and on silence; whether the
// answer was the log, and all of it; and if not, why, and whether a later try may
// succeed. It decides nothing about storing or deleting. Its caller retries. It must
// not import controllers.
package joblogs
