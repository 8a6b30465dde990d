// Package adversary attacks the manager as a tenant can who may edit one namespace,
// and shows that it goes on for others: its program, as a process in a memory cgroup
// with the limit of the Deployment, on a real API server. Each attack is side by side
// with a namespace whose Jobs finish; how much memory the manager took and how long
// the neighbour's Jobs were there after they had finished is printed.
//
// What has to hold is that the process does not end, that every Job of the neighbour
// is stored and deleted, and that a Job under attack gets its outcome. Statuses of
// Jobs and pods are set by the tests, and the node is theirs too, so that an attack
// happens when it should.
package adversary
