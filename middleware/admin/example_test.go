package admin_test

import (
	"crypto/subtle"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
)

// An operator looks at a customer, reads the table, and raises the limit of its plan.
func ExampleNew() {
	config, err := plans.ReadTableConfig(strings.NewReader(`{"default": "5/s", "plans": {"gold": "50/s"}, "members": {"customer-17": "gold"}}`))
	if err != nil {
		log.Fatal(err)
	}
	table, err := plans.NewTable(config)
	if err != nil {
		log.Fatal(err)
	}
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), table, ratelimit.Config{})
	if err != nil {
		log.Fatal(err)
	}

	const secret = "only operators know this"
	operator := func(r *http.Request) bool {
		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) == 1
	}
	h, err := admin.New(limiter, operator, admin.Config{Table: table})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/limits/", http.StripPrefix("/limits", h))

	ask := func(method, path, body, match string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body)) //nolint:noctx // no context in an example
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("If-Match", match)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w
	}
	fmt.Print(ask("POST", "/limits/key/state", `{"key": "customer-17"}`, "").Body)

	read := ask("GET", "/limits/table", "", "")
	fmt.Print(read.Body)

	changed := strings.Replace(read.Body.String(), "50/s", "80/s", 1)
	fmt.Println(ask("PUT", "/limits/table", changed, read.Header().Get("ETag")).Code, ask("PUT", "/limits/table", changed, read.Header().Get("ETag")).Code)
	fmt.Print(ask("GET", "/limits/table/summary", "", "").Body)
	// Output:
	// {"key":"sha256:db2f1aab1da8bb83ccf19147343fbf6993905ccc53bc4a9005611ed1c1df0650","exempt":false,"plan":"gold","allowed":true,"would_deny":false,"retry_after_ms":0,"source":"store","limits":[{"name":"default","limit":"50/s","shadow":false,"remaining":50,"burst":50,"held":0,"violated":false,"retry_after_ms":0,"reset_after_ms":0}]}
	// {
	//   "default": "5/s",
	//   "plans": {
	//     "gold": "50/s"
	//   },
	//   "members": {
	//     "sha256:db2f1aab1da8bb83ccf19147343fbf6993905ccc53bc4a9005611ed1c1df0650": "gold"
	//   }
	// }
	// 204 412
	// {"default":"5/s","plans":{"gold":{"policy":"80/s","members":1}},"keys":0}
}

// authorize is required.
func ExampleNew_incorrect() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	_, err = admin.New(limiter, nil, admin.Config{TrustedOrigins: []string{"ops.example.com"}})
	fmt.Println(err)
	// Output:
	// admin: authorize is nil, so that any caller could lift every limit; pass a function that knows your operators, such as func(r *http.Request) bool { return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) == 1 }
	// admin: Config.TrustedOrigins[0] "ops.example.com" must be an origin, such as "https://ops.example.com": invalid origin "ops.example.com": scheme is required
}
