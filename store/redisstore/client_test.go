package redisstore

import (
	"cmp"
	"crypto/tls"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
)

// TestConfig: New reports every fault of its arguments and how to fix it, and does no I/O.
func TestConfig(t *testing.T) {
	good := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	defer good.Close()
	careless := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer careless.Close()
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	defer cluster.Close()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	defer ring.Close()
	pipeliner, err := good.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	type wrapped struct{ redis.UniversalClient }
	for _, test := range []struct {
		name   string
		client redis.UniversalClient
		config Config
		want   []string // in the error; none: no error
	}{
		{"good", good, Config{}, nil},
		{"good, all set", good, Config{Prefix: "my-app:v1", Secret: []byte("sixteen bytes ok"), OnForeign: func(int) {}}, nil},
		{"nil", nil, Config{}, []string{"nil", "redisstore.NewClient"}},
		{"typed nil", (*redis.Client)(nil), Config{}, []string{"nil", "redisstore.NewClient"}},
		{"typed nil Cluster", (*redis.ClusterClient)(nil), Config{TrustClient: true}, []string{"nil"}},
		{"careless", careless, Config{}, []string{"ContextTimeoutEnabled: true", "MaxRetries: -1", "redisstore.NewClient"}},
		{"careless, trusted", careless, Config{TrustClient: true}, []string{"ContextTimeoutEnabled: true"}},
		{"careless Cluster", cluster, Config{}, []string{"ContextTimeoutEnabled: true"}},
		{"RESP3 over TLS", redis.NewClient(&redis.Options{ContextTimeoutEnabled: true, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}}), Config{}, []string{"Protocol: 2"}},
		{"RESP3 over TLS, a careless Cluster", redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}}), Config{}, []string{"Protocol: 2", "ContextTimeoutEnabled: true"}},
		{"careless Ring", ring, Config{}, []string{"ContextTimeoutEnabled: true"}},
		{"wrapped", wrapped{good}, Config{}, []string{"redisstore.wrapped", "ContextTimeoutEnabled", "TrustClient: true"}},
		{"wrapped, trusted", wrapped{good}, Config{TrustClient: true}, nil},
		{"AutoPipeliner", pipeliner, Config{TrustClient: true}, []string{"AutoPipeliner", "client that it was made of"}},
		{"braces", good, Config{Prefix: "{app}"}, []string{"Config.Prefix", "{app}", "braces"}},
		{"space", good, Config{Prefix: "my app"}, []string{"Config.Prefix"}},
		{"line", good, Config{Prefix: "app\r\n"}, []string{"Config.Prefix"}},
		{"long", good, Config{Prefix: strings.Repeat("x", 65)}, []string{"Config.Prefix", "65"}},
		{"two faults", careless, Config{Prefix: "{app}"}, []string{"ContextTimeoutEnabled: true", "Config.Prefix"}},
	} {
		s, err := New(test.client, test.config)
		if (err == nil) != (test.want == nil) || (s == nil) != (test.want != nil) {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want it to say %q", test.name, err, want)
			}
		}
	}
}

// TestNewClient: each kind of URL makes the client that it names, with the options
// that decisions need.
func TestNewClient(t *testing.T) {
	for _, test := range []struct {
		url      string
		kind     any
		addrs    []string
		db       int
		user, pw string
		tls      bool
		timeout  time.Duration // 0: the default
	}{
		{url: "redis://127.0.0.1:1", kind: new(redis.Client), addrs: []string{"127.0.0.1:1"}},
		{url: "redis://127.0.0.1:1/", kind: new(redis.Client), addrs: []string{"127.0.0.1:1"}},
		{url: "redis://localhost", kind: new(redis.Client), addrs: []string{"localhost:6379"}},
		{url: "redis://[::1]:1/2", kind: new(redis.Client), addrs: []string{"[::1]:1"}, db: 2},
		{url: "redis://ali:open%40se%2Csame@127.0.0.1:1/3", kind: new(redis.Client), addrs: []string{"127.0.0.1:1"}, db: 3, user: "ali", pw: "open@se,same"},
		{url: "redis://:pw@127.0.0.1:1", kind: new(redis.Client), addrs: []string{"127.0.0.1:1"}, pw: "pw"},
		{url: "rediss://ali:pw@127.0.0.1:1/3", kind: new(redis.Client), addrs: []string{"127.0.0.1:1"}, db: 3, user: "ali", pw: "pw", tls: true},
		{url: "unix:///no/such/socket", kind: new(redis.Client), addrs: []string{"/no/such/socket"}},
		{url: "unix://ali:pw@/no/such/socket?db=4", kind: new(redis.Client), addrs: []string{"/no/such/socket"}, db: 4, user: "ali", pw: "pw"},
		{url: "redis://127.0.0.1:1,127.0.0.1:2,[::1]:3", kind: new(redis.ClusterClient), addrs: []string{"127.0.0.1:1", "127.0.0.1:2", "[::1]:3"}},
		{url: "rediss://ali:pw@127.0.0.1:1,127.0.0.1:2/0", kind: new(redis.ClusterClient), addrs: []string{"127.0.0.1:1", "127.0.0.1:2"}, user: "ali", pw: "pw", tls: true},
		{url: "redis://127.0.0.1:1?cluster=true", kind: new(redis.ClusterClient), addrs: []string{"127.0.0.1:1"}},
		{url: "redis://127.0.0.1:1/2?timeout=200ms", kind: new(redis.Client), addrs: []string{"127.0.0.1:1"}, db: 2, timeout: 200 * time.Millisecond},
		{url: "unix:///no/such/socket?db=4&timeout=1s", kind: new(redis.Client), addrs: []string{"/no/such/socket"}, db: 4, timeout: time.Second},
		{url: "redis://127.0.0.1:1,127.0.0.1:2?timeout=1s", kind: new(redis.ClusterClient), addrs: []string{"127.0.0.1:1", "127.0.0.1:2"}, timeout: time.Second},
		{url: "redis://127.0.0.1:1?cluster=false", kind: new(redis.Client), addrs: []string{"127.0.0.1:1"}},
		{url: "redis://ali:pw@127.0.0.1:1,127.0.0.1/2?master_name=mymaster", kind: new(redis.Client), addrs: []string{"FailoverClient"}, db: 2, user: "ali", pw: "pw"},
	} {
		t.Run(test.url, func(t *testing.T) {
			client, err := NewClient(test.url)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if reflect.TypeOf(client) != reflect.TypeOf(test.kind) {
				t.Fatalf("made a %T; want a %T", client, test.kind)
			}
			if _, err := New(client, Config{}); err != nil {
				t.Error(err)
			}
			d := cmp.Or(test.timeout, store.DefaultTimeout)
			switch client := client.(type) {
			case *redis.Client:
				o := client.Options()
				if o.Addr != test.addrs[0] || o.DB != test.db || o.Username != test.user || o.Password != test.pw || (o.TLSConfig != nil) != test.tls {
					t.Errorf("%s, database %d, user %q, password %q, TLS %v", o.Addr, o.DB, o.Username, o.Password, o.TLSConfig != nil)
				}
				if o.DialTimeout != d || o.ReadTimeout != d || o.WriteTimeout != d || o.PoolTimeout != d || o.DialerRetries != 1 ||
					o.MaxRetries != 0 || o.Protocol != 2 || o.PoolSize != 20 || o.MaxActiveConns != 20 || o.MinIdleConns != 0 || !o.ContextTimeoutEnabled {
					t.Errorf("%+v", o)
				}
				if o.MaintNotificationsConfig != nil && o.MaintNotificationsConfig.Mode != "disabled" {
					t.Error("maintenance notifications are on")
				}
				checkTLS(t, o.TLSConfig)
			case *redis.ClusterClient:
				o := client.Options()
				if !reflect.DeepEqual(o.Addrs, test.addrs) || o.Username != test.user || o.Password != test.pw || (o.TLSConfig != nil) != test.tls {
					t.Errorf("%v, user %q, password %q, TLS %v", o.Addrs, o.Username, o.Password, o.TLSConfig != nil)
				}
				if o.DialTimeout != d || o.ReadTimeout != d || o.WriteTimeout != d || o.PoolTimeout != d || o.DialerRetries != 1 ||
					o.PoolSize != 20 || o.MaxActiveConns != 20 || o.MinIdleConns != 0 || !o.ContextTimeoutEnabled ||
					!o.DisableRoutingPolicies || o.MinRetryBackoff != time.Millisecond || o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
					t.Errorf("%+v", o)
				}
				checkTLS(t, o.TLSConfig)
			}
		})
	}
}

// checkTLS checks that the name in the certificate must be that of the dialed server.
func checkTLS(t *testing.T, c *tls.Config) {
	t.Helper()
	if c != nil && (c.ServerName != "" || c.InsecureSkipVerify || c.MinVersion < tls.VersionTLS12) {
		t.Errorf("TLS with ServerName %q, InsecureSkipVerify %v, MinVersion %x", c.ServerName, c.InsecureSkipVerify, c.MinVersion)
	}
}

// TestNewClientRejects: the error for a wrong URL says what is right, and repeats no part
// of the URL, which may be part of a password.
func TestNewClientRejects(t *testing.T) {
	for url, want := range map[string]string{
		"":                                                "redis://",
		"localhost:6379":                                  "redis://",
		"http://open:sesame@localhost":                    "redis://",
		"redis:/open:sesame@localhost":                    "redis://",
		"redis://":                                        "redis://user",
		"redis://ali:open sesame@h:1":                     "percent-encoded",
		"redis://ali:open/sesame@h:1":                     "percent-encoded",
		"redis://ali:open?sesame@h:1":                     "percent-encoded",
		"redis://ali:open#sesame@h:1":                     "percent-encoded",
		"redis://ali:open%sesame@h:1":                     "percent-encoded",
		"redis://:sesame@h:port":                          "percent-encoded",
		"redis://:sesame@h:1/two":                         "percent-encoded",
		"redis://:sesame@h:1/1/2":                         "percent-encoded",
		"redis://:sesame@h:1,,h:2":                        "percent-encoded",
		"redis://:sesame@h:1,h:x":                         "percent-encoded",
		"redis://:sesame@h:1,h:2/1":                       "database",
		"redis://:sesame@h:1/1?cluster=true":              "database",
		"redis://:sesame@h:1?sesame=1":                    "parameter",
		"redis://:sesame@h:1?read_timeout=1s":             "parameter",
		"redis://:sesame@h:1?db=1":                        "parameter",
		"redis://:sesame@h:1?master_name=":                "parameter",
		"redis://:sesame@h:1?cluster=sesame":              "parameter",
		"redis://:sesame@h:1?master_name=a&master_name=b": "parameter",
		"redis://:sesame@h:1,h:2?cluster=false":           "several hosts",
		"unix://a,b/sesame":                               "several hosts",
		"redis://:sesame@h:1/-1":                          "percent-encoded",
		"redis://:sesame@h:1?timeout=50":                  "parameter",
		"redis://:sesame@h:1?timeout=0s":                  "parameter",
		"redis://:sesame@h:1?timeout=-1s":                 "parameter",
		"redis://:sesame@h:1?%zz":                         "parameter",
		"redis://:sesame@h:1?master_name=m&cluster=true":  "Sentinels",
		"unix://":                      "percent-encoded",
		"unix:///s?db=sesame":          "percent-encoded",
		"unix:///s?master_name=sesame": "parameter",
	} {
		client, err := NewClient(url)
		if err == nil {
			client.Close()
			t.Errorf("%s: was accepted", url)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame") || !strings.HasPrefix(err.Error(), "redisstore: ") {
			t.Errorf("%s: %v; want it to say %q", url, err, want)
		}
	}
}
