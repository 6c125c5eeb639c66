package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
)

const (
	behindProxy    = "docs/behind-a-proxy.md"
	requireProxies = "KEYRATE_REQUIRE_PROXIES"
	upload         = 50 << 20 // bytes
)

// startAPI runs the first program of the page, with five calls an hour, and returns its
// address.
func startAPI(t *testing.T) string {
	t.Helper()
	address := freeAddress(t)
	source := page(t, behindProxy, "go")[0]
	program := build(t, with(t, source, `"127.0.0.1:8080"`, "os.Args[1]", `"log"`, "\"log\"\n\"os\"", "PerSecond(5)", "PerHour(5)"))
	start(t, address, program, address)
	return address
}

// startNginx runs nginx with servers, a part of its configuration.
func startNginx(t *testing.T, address, servers string) {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx" // Debian's, which is not on every PATH
		_, err = os.Stat(nginx)
	}
	testkit.Need(t, requireProxies, "nginx (Debian: apt-get install nginx)", err)
	dir := t.TempDir()
	var config strings.Builder
	if os.Getuid() == 0 {
		config.WriteString("user root;\n") // whose folder this is
	}
	fmt.Fprintf(&config, "daemon off;\npid %[1]s/pid;\nerror_log %[1]s/error.log;\nevents {}\nhttp {\naccess_log off;\n", dir)
	for _, part := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&config, "%s_temp_path %s/%s;\n", part, dir, part)
	}
	config.WriteString(servers + "}\n")
	start(t, address, nginx, "-e", filepath.Join(dir, "start.log"), "-c", write(t, "nginx.conf", config.String()))
}

func startHAProxy(t *testing.T, address, config string) {
	t.Helper()
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		haproxy = "/usr/sbin/haproxy"
		_, err = os.Stat(haproxy)
	}
	testkit.Need(t, requireProxies, "haproxy (Debian: apt-get install haproxy)", err)
	start(t, address, haproxy, "-db", "-f", write(t, "haproxy.cfg", config))
}

// A proxy is one that is started in front of the API at address, and returns its own
// address.
type proxy struct {
	name    string
	uploads int // of TestDeniedUploads
	start   func(t *testing.T, api string) string
}

func proxies() []proxy {
	nginx := func(block func(*testing.T) string, old ...string) func(*testing.T, string) string {
		return func(t *testing.T, api string) string {
			address := freeAddress(t)
			pairs := append([]string{"127.0.0.1:8080", api, "listen 8000", "listen " + address}, old...)
			startNginx(t, address, with(t, block(t), pairs...))
			return address
		}
	}
	haproxy := func(pairs ...string) func(*testing.T, string) string {
		return func(t *testing.T, api string) string {
			address := freeAddress(t)
			pairs := append([]string{"127.0.0.1:8080", api, "bind :8001", "bind " + address}, pairs...)
			startHAProxy(t, address, with(t, page(t, behindProxy, "haproxy")[0], pairs...))
			return address
		}
	}
	ours := func(t *testing.T) string { return page(t, behindProxy, "nginx")[0] }
	defaults := func(*testing.T) string {
		return "server { listen 8000; client_max_body_size 64m; location / { proxy_pass http://127.0.0.1:8080;\n" +
			"proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }\n"
	}
	return []proxy{
		{"nginx", 5, nginx(ours)},
		{"nginx, defaults", 20, nginx(defaults)},
		{"nginx, defaults, unbuffered", 5, nginx(defaults, "location / {", "location / { proxy_request_buffering off;")},
		{"haproxy", 5, haproxy()},
		{"haproxy that closes", 5, haproxy("option forwardfor", "option forwardfor\n    option httpclose")},
		{"ReverseProxy", 5, func(t *testing.T, api string) string {
			address := freeAddress(t)
			source := page(t, behindProxy, "go")[1]
			program := build(t, with(t, source, `"127.0.0.1:8002"`, "os.Args[1]", `"http://127.0.0.1:8080"`, "os.Args[2]",
				`"log"`, "\"log\"\n\"os\"", "PerSecond(3)", "PerHour(1000)"))
			start(t, address, program, address, "http://"+api)
			return address
		}},
	}
}

// from returns a client with an address of loopback, which all of 127.0.0.0/8 is on Linux.
func from(t *testing.T, ip string) *http.Client {
	local, err := net.ResolveTCPAddr("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: local}).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// call makes a request with header, "name: value", or none. It fails the test if there
// is no answer.
func call(t *testing.T, client *http.Client, address, header string) (int, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		r.Header.Set(name, value)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

// send makes an upload and returns the status of its answer. When an answer ends a connection
// before the upload does, an [http.Transport] closes it, and returns the answer or the error of
// the closed connection, whichever it finds first.
func send(t *testing.T, client *http.Client, address string) int {
	t.Helper()
	for attempt := 1; ; attempt++ {
		r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, "http://"+address+"/", io.LimitReader(zeros{}, upload))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = upload
		r.Header.Set("X-API-Key", "k")
		response, err := client.Do(r)
		if err == nil {
			status, _ := read(t, response)
			return status
		}
		if !errors.Is(err, net.ErrClosed) || attempt == 10 {
			t.Fatal(err)
		}
	}
}

// read reads an answer.
func read(t *testing.T, response *http.Response) (int, http.Header) {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s: %v", response.Status, err)
	}
	if response.StatusCode == http.StatusTooManyRequests && !strings.Contains(string(text), `"retry_after_ms":`) {
		t.Errorf("the 429 has the body %q", text)
	}
	return response.StatusCode, response.Header
}

// TestProxies checks what the page says of each proxy: headers and answers pass, a forged
// address has no effect, and each address has its own bucket.
func TestProxies(t *testing.T) {
	for _, p := range proxies() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			address := p.start(t, startAPI(t))
			client := from(t, "127.0.0.2")
			for i, want := range []int{200, 200, 200, 200, 200, 429, 429} {
				forged := fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i)
				status, header := call(t, client, address, forged)
				if status != want {
					t.Errorf("call %d from one address: status %d, want %d", i+1, status, want)
				}
				remaining := []string{fmt.Sprint(max(0, 4-i))}
				if got := header[middleware.HeaderRemaining]; !slices.Equal(got, remaining) {
					t.Errorf("call %d: X-Rate-Limit-Remaining %q, want %q", i+1, got, remaining)
				}
				for _, name := range []string{middleware.HeaderPolicy, middleware.HeaderRateLimit, middleware.HeaderLimit} {
					if got := header[name]; len(got) != 1 {
						t.Errorf("call %d: %s %q, want it once", i+1, name, got)
					}
				}
				if got := header[middleware.HeaderRetryAfter]; (len(got) == 1) != (want == 429) {
					t.Errorf("call %d, %d: Retry-After %q", i+1, want, got)
				}
			}
			if got, _ := call(t, from(t, "127.0.0.3"), address, ""); got != http.StatusOK {
				t.Errorf("another address: status %d, want 200", got)
			}
			if got, _ := call(t, client, address, "X-API-Key: k"); got != http.StatusOK {
				t.Errorf("the same address with a key: status %d, want 200", got)
			}
		})
	}
}

// TestDeniedUploads: large uploads that are denied get the 429 through each proxy.
func TestDeniedUploads(t *testing.T) {
	for _, p := range proxies() {
		t.Run(p.name, func(t *testing.T) {
			address := p.start(t, startAPI(t))
			client := from(t, "127.0.0.2")
			for range 5 {
				call(t, client, address, "X-API-Key: k")
			}
			answered := map[int]int{}
			for range p.uploads {
				answered[send(t, client, address)]++
			}
			if answered[http.StatusTooManyRequests] != p.uploads {
				t.Errorf("%d uploads were answered with %v, want 429 for all", p.uploads, answered)
			}
		})
	}
}

// zeros is a body without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
