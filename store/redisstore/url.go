package redisstore

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The faults of a URL. None repeats a part of it: a password with an unescaped special
// character can appear in any part.
var (
	errScheme    = errors.New("redisstore: the URL must begin with redis://, rediss:// or unix://, such as redis://localhost:6379/0")
	errURL       = errors.New("redisstore: the URL cannot be read; it must be like redis://user:password@host:6379/0, several hosts with commas between them, and special characters of user and password percent-encoded")
	errParameter = errors.New("redisstore: the URL has a parameter that is unknown, repeated or empty; known are master_name=NAME, cluster=true and timeout=DURATION such as 100ms, and db=N with unix://; for other options make a client with package redis, ContextTimeoutEnabled: true and MaxRetries: -1")
	errClusterDB = errors.New("redisstore: the URL names a database of a Cluster, which has only database 0; remove it")
	errHosts     = errors.New("redisstore: the URL names several hosts for one server; name one, or make it the URL of a Cluster, or of Sentinels with master_name=NAME")
	errBoth      = errors.New("redisstore: the URL asks for a Cluster and for Sentinels; it must have only one of cluster=true and master_name=NAME")
)

// parseURL parses a URL of the forms in the comment of [NewClient].
func parseURL(rawURL string) (*redis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(rawURL, "://")
	if scheme != "redis" && scheme != "rediss" && scheme != "unix" {
		return nil, errScheme
	}
	// net/url parses one host, so each host is parsed as if it were the only one.
	user, hosts, rest := splitAuthority(rest)
	u, err := url.Parse(scheme + "://" + user + hosts[0] + rest)
	if err != nil || u.Fragment != "" {
		return nil, errURL
	}
	o := new(redis.UniversalOptions)
	oneServer := scheme == "unix" || u.Query().Get("cluster") == "false"
	if err := readParameters(u, o); err != nil {
		return nil, err
	}
	if len(hosts) > 1 && o.MasterName == "" {
		if oneServer {
			return nil, errHosts
		}
		o.IsClusterMode = true
	}
	for _, host := range hosts {
		if scheme != "unix" {
			if u.Host = host; host == "" {
				return nil, errURL
			}
			if o.MasterName != "" && u.Port() == "" {
				u.Host += ":26379"
			}
		}
		one, err := redis.ParseURL(u.String())
		if err != nil || one.DB < 0 {
			return nil, errURL
		}
		o.Addrs = append(o.Addrs, one.Addr)
		o.DB, o.Username, o.Password, o.TLSConfig = one.DB, one.Username, one.Password, one.TLSConfig
	}
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = "" // use that of the dialed server, not that of the last in the list
	}
	if o.IsClusterMode && o.DB != 0 {
		return nil, errClusterDB
	}
	return o, nil
}

// splitAuthority splits a URL without its scheme into "user:password@", the hosts, and the
// rest.
func splitAuthority(s string) (user string, hosts []string, rest string) {
	if at := strings.IndexAny(s, "/?#"); at >= 0 {
		s, rest = s[:at], s[at:]
	}
	if at := strings.LastIndex(s, "@"); at >= 0 {
		user, s = s[:at+1], s[at+1:]
	}
	return user, strings.Split(s, ","), rest
}

// readParameters moves our own parameters from the URL to o. It accepts no other
// parameters than ours and those that redis.ParseURL needs.
func readParameters(u *url.URL, o *redis.UniversalOptions) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errParameter
	}
	for name, values := range query {
		if len(values) != 1 || values[0] == "" {
			return errParameter
		}
		switch socket := u.Scheme == "unix"; {
		case name == "master_name" && !socket:
			o.MasterName = values[0]
		case name == "cluster" && !socket && (values[0] == "true" || values[0] == "false"):
			o.IsClusterMode = values[0] == "true"
		case name == "timeout":
			if o.ReadTimeout, err = time.ParseDuration(values[0]); err != nil || o.ReadTimeout <= 0 {
				return errParameter
			}
		case name == "db" && socket:
			continue
		default:
			return errParameter
		}
		delete(query, name)
	}
	u.RawQuery = query.Encode()
	if o.IsClusterMode && o.MasterName != "" {
		return errBoth
	}
	return nil
}
