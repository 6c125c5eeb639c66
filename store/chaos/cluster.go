package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// slots is the number of hash slots of a Redis Cluster.
const slots = 16384

// A Cluster is a Redis Cluster of three masters with a replica each.
type Cluster struct {
	Nodes []*Server // the three masters and then the three replicas of the start

	tb  testing.TB
	ids map[*Server]string
}

// clusterNodeTimeout is when a node that does not answer has failed. It is shorter than in
// production, so that the tests are.
const clusterNodeTimeout = time.Second

// StartCluster starts six nodes and waits until all slots are served. While a master is
// down, the slots of the others are still served.
func StartCluster(tb testing.TB) *Cluster {
	tb.Helper()
	c := &Cluster{tb: tb, ids: map[*Server]string{}}
	for range 6 {
		node := StartServer(tb,
			"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-node-timeout", strconv.FormatInt(clusterNodeTimeout.Milliseconds(), 10),
			"--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0")
		c.Nodes = append(c.Nodes, node)
		c.ids[node] = fmt.Sprint(node.Do("CLUSTER", "MYID"))
	}
	for i, node := range c.Nodes {
		node.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
	}
	for _, node := range c.Nodes[1:] {
		node.Do("CLUSTER", "MEET", "127.0.0.1", c.Nodes[0].Port)
	}
	for i, node := range c.masters() {
		args := []any{"CLUSTER", "ADDSLOTS"}
		for slot := range slots {
			if owner(slot) == i {
				args = append(args, slot)
			}
		}
		node.Do(args...)
	}
	c.untilAll("nodes know each other", func(node *Server) bool { return node.clusterInfo("cluster_known_nodes") == "6" })
	for i, node := range c.Nodes[3:] {
		master := c.ids[c.Nodes[i]]
		Until(tb, startTime, "a replica knows its master", func() bool {
			_, err := node.Try("CLUSTER", "REPLICATE", master)
			return err == nil
		})
	}
	c.untilAll("nodes serve", func(node *Server) bool { return node.clusterInfo("cluster_state") == "ok" })
	for _, node := range c.Nodes[3:] {
		Until(tb, startTime, "a replica has its master's data", func() bool { return node.Info("master_link_status") == "up" })
	}
	return c
}

// owner returns the index of the master that serves a slot at the start: each serves a
// third.
func owner(slot int) int { return slot * 3 / slots }

func (c *Cluster) masters() []*Server { return c.Nodes[:3] }

func (c *Cluster) untilAll(what string, done func(*Server) bool) {
	c.tb.Helper()
	for _, node := range c.Nodes {
		Until(c.tb, 2*startTime, "all "+what, func() bool { return done(node) })
	}
}

// clusterInfo returns a field of CLUSTER INFO.
func (s *Server) clusterInfo(field string) string {
	text, _ := s.Try("CLUSTER", "INFO")
	for line := range strings.Lines(fmt.Sprint(text)) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// URL returns a URL of all nodes for redisstore.NewClient.
func (c *Cluster) URL() string {
	var addrs []string
	for _, node := range c.Nodes {
		addrs = append(addrs, node.Addr)
	}
	return "redis://" + strings.Join(addrs, ",")
}

// Errors returns the number of answers of all nodes with an error such as "MOVED" or "ASK".
func (c *Cluster) Errors(name string) int {
	n := 0
	for _, node := range c.Nodes {
		n += node.Errors(name)
	}
	return n
}

// Replica returns the replica that a master had at the start.
func (c *Cluster) Replica(master *Server) *Server {
	for i, node := range c.masters() {
		if node == master {
			return c.Nodes[3+i]
		}
	}
	c.tb.Fatalf("%s was not a master at the start", master.Addr)
	return nil
}
