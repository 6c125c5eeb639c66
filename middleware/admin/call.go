package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// A call is a request on its way to a response.
type call struct {
	*handler
	w      http.ResponseWriter
	r      *http.Request
	event  Event
	prefix bool            // the request is about a prefix of addresses
	hash   bool            // it is about the hash of a key
	stop   <-chan struct{} // closed when the server shuts down; for a stream
}

// A problem is the body of an error, RFC 9457. It contains constants, classes and the
// places of faults, in which hashes stand for keys.
type problem struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Class  string  `json:"class,omitempty"`
	Errors []fault `json:"errors,omitempty"`
}

// A fault is a reason to reject a table.
type fault struct {
	Place  string `json:"place"`
	Detail string `json:"detail"`
}

func (c *call) problem(status int, detail string) {
	c.answerProblem(problem{Status: status, Detail: detail})
}

func (c *call) answerProblem(p problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	c.answer(p.Status, "application/problem+json", p)
}

// answer responds with a body in JSON.
func (c *call) answer(status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("admin: a response cannot be written as JSON") // without the value, which may contain a key
	}
	c.answerBytes(status, contentType, append(body, '\n'))
}

func (c *call) answerBytes(status int, contentType string, body []byte) {
	c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.begin(status, contentType)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body) // a client that hung up needs no response
	}
}

// begin sends the status and the headers.
func (c *call) begin(status int, contentType string) {
	if contentType != "" {
		c.w.Header().Set("Content-Type", contentType)
	}
	c.event.Status = status
	c.w.WriteHeader(status)
}
