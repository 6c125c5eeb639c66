package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// A call is a request that is being answered.
type call struct {
	*handler
	w     http.ResponseWriter
	r     *http.Request
	event Event
}

// A problem is the body of an answer that is an error, RFC 9457: constants, classes, and
// the places of faults, in which hashes stand for keys.
type problem struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Class  string  `json:"class,omitempty"`
	Errors []fault `json:"errors,omitempty"`
}

// A fault is one of those that a table was refused for.
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

// answer answers with a body in JSON.
func (c *call) answer(status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("admin: an answer cannot be written as JSON") // not what, it is the program's
	}
	c.answerBytes(status, contentType, append(body, '\n'))
}

func (c *call) answerBytes(status int, contentType string, body []byte) {
	c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.begin(status, contentType)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body) // whoever hung up needs no answer
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
