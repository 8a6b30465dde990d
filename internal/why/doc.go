// Package why finds the reason for which a Job failed, or a pod of it never ran: in
// what the watch showed of its pods, and in the Warning Events of the Job and its
// pods. It is pure: what it is given was read by others. It must not import a client.
package why
