// Package fairshare divides a pool, such as the log streams that may be open at
// once, fairly between its owners, which are namespaces. While the pool has room, an
// owner may hold as much of it as it wants. Once the pool is full, an owner that
// holds less than its share takes from owners that hold more. A share is the pool
// divided by the owners that hold something or wait.
//
// It does no I/O and must not import anything of Job Handler.
package fairshare
