// Package adversary tests the manager against a tenant who may edit one namespace.
// The manager runs as a process in a memory cgroup with the limit of its Deployment,
// on a real API server. Beside each attack another namespace runs ordinary Jobs. The
// tests print the manager's memory and how long the other namespace waited.
//
// The tests require that the process survives, that it stores and deletes every Job
// of the other namespace, and that an attacked Job gets its outcome. They set the
// status of Jobs and pods, and play the node, so that an attack happens at a chosen
// moment.
package adversary
