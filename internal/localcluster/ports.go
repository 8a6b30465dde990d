package localcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// The ports of a cluster, as offsets into the block that is its own.
const (
	portEtcd = iota
	portEtcdPeer
	portAPIServer
	portControllerManager
	portScheduler
	portCertManager
	firstNodePort
)

const (
	// NodePorts is the number of ports that the programs of nodes have.
	NodePorts       = 5
	portsPerCluster = firstNodePort + NodePorts
)

// NodePort returns one of the ports for programs of nodes, by its index below NodePorts.
func (c *Cluster) NodePort(index int) int { return c.port(firstNodePort + index) }

// Blocks lie below the range from which the kernel takes ports for outgoing
// connections, else one of those could take a port between its choice and its use.
const (
	firstBlock = 21000
	lastBlock  = 31000
)

// reservePorts returns the first port of a free block and the file that holds
// the reservation among all clusters of the machine until its last copy is closed.
func reservePorts(ctx context.Context) (int, *os.File, error) {
	for base := firstBlock; base < lastBlock; base += portsPerCluster {
		hold, err := holdBlock(base)
		if err != nil {
			continue
		}
		if blockFree(ctx, base) {
			return base, hold, nil
		}
		_ = hold.Close()
	}
	return 0, nil, errors.New("finding free ports: none of the ranges is free")
}

// holdBlock takes the block's name among abstract unix sockets, which exist
// once a machine and vanish with their last holder.
func holdBlock(base int) (*os.File, error) {
	name := "@job-handler-ports-" + strconv.Itoa(base)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	return listener.File()
}

func blockFree(ctx context.Context, base int) bool {
	for port := base; port < base+portsPerCluster; port++ {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+strconv.Itoa(port))
		if err != nil {
			return false
		}
		_ = listener.Close()
	}
	return true
}

func hostPort(host string, port int) string {
	return net.JoinHostPort(host, fmt.Sprint(port))
}
