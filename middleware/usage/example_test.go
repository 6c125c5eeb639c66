package usage_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"

	"github.com/keyrate/keyrate/middleware/usage"
)

// A proxy in front of a model API charges each client what its responses have cost.
func ExampleReport_ModifyResponse() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, `data: {"choices":[{"delta":{"content":"Hi!"}}],"usage":null}

data: {"choices":[],"usage":{"prompt_tokens":1019,"completion_tokens":10,"total_tokens":1029,"prompt_tokens_details":{"cached_tokens":1000}}}

data: [DONE]

`)
	}))
	defer api.Close()
	target, _ := url.Parse(api.URL)

	// For this example; it could be AllowN of a limiter.
	charge := func(_ context.Context, tokens int64) { fmt.Println("charged", tokens) }
	report := usage.Report(func(r *http.Request, u usage.Usage, ok bool) {
		if !ok { // charge an estimate
			fmt.Println("no complete usage for", r.URL.Path)
			return
		}
		fmt.Println(u.Input, "input,", u.CacheRead, "cached,", u.Output, "output")
		charge(context.WithoutCancel(r.Context()), u.Total())
	})
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Accept-Encoding", "identity") // a compressed body cannot be read
		},
		ModifyResponse: report.ModifyResponse,
	}
	proxy.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/chat/completions", nil))
	// Output:
	// 19 input, 1000 cached, 10 output
	// charged 1029
}

// A handler that answers with the body of an API itself.
func ExampleReport_Handler() {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"content":[],"usage":{"input_tokens":20,"cache_read_input_tokens":500,"output_tokens":7}}`)
	})
	report := usage.Report(func(r *http.Request, u usage.Usage, ok bool) {
		fmt.Println(r.URL.Path, u.Total(), ok)
	})
	report.Handler(answer).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/messages", nil))
	// Output: /v1/messages 527 true
}
