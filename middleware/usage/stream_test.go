package usage

import (
	"strings"
	"testing"
)

func TestStream(t *testing.T) {
	const one = `{"usage":{"input_tokens":12,"output_tokens":5}}`
	both := Usage{Input: 12, Output: 5}
	for _, c := range []struct {
		name, body string
		want       Usage
		silent     bool
	}{
		{name: "OpenAI, chat completion", body: chatStream, want: Usage{Input: 6, Output: 10, CacheRead: 13}},
		{name: "OpenAI, response", body: responseStream, want: Usage{Input: 36, Output: 87}},
		{name: "Anthropic, message", body: anthropicStream, want: Usage{Input: 472, Output: 89, CacheRead: 30, CacheWrite: 7}},
		{name: "Anthropic, cut off", body: anthropicStream[:strings.Index(anthropicStream, "event: message_delta")], want: Usage{Input: 472, Output: 2, CacheRead: 30, CacheWrite: 7}},
		{name: "OpenAI without include_usage", body: "data: {\"choices\":[],\"usage\":null}\n\ndata: [DONE]\n\n", silent: true},

		{name: "LF", body: "data: " + one + "\n\n", want: both},
		{name: "CR", body: "data: [\r\rdata: " + one + "\r\r", want: both},
		{name: "CRLF", body: "data: [\r\n\r\ndata: " + one + "\r\n\r\n", want: both},
		{name: "no space", body: "data:" + one + "\n\n", want: both},
		{name: "no end", body: "data:" + one, want: both},
		{name: "byte order mark", body: "\xef\xbb\xbfdata:" + one + "\n\n", want: both},
		{name: "after a broken event", body: "data: {\"usage\":{\"input_tokens\":}\n\ndata: " + one + "\n\n", want: both},
		{name: "after one that ends early", body: "data: {\"a\":\"\n\ndata: " + one + "\n\n", want: both},
		{name: "many lines", body: "data: {\"usage\":\r\ndata:{\"input_tokens\":12\r\n: a comment\r\nid: 3\r\ndata\r\ndata: ,\"output_tokens\":5\r\ndata:}}\r\n\r\n", want: both},
		{name: "a number on two lines", body: "data: {\"usage\":{\"input_tokens\":1\ndata:2}}\n\n", want: Usage{Input: 1}},
		{name: "two events", body: "data: {\"usage\":{\"input_tokens\":12}}\n\ndata: {\"usage\":{\"output_tokens\":5}}\n\n", want: both},
		{name: "not data", body: ": " + one + "\nevent: " + one + "\ndatas: " + one + "\n data: " + one + "\ndat\n" + one + "\nDATA:" + one + "\n\n", silent: true},
		{name: "deeper", body: "data: {\"a\":{\"response\":" + one + "},\"response\":{\"message\":" + one + "},\"message\":[" + one + "]}\n\n", silent: true},
		{name: "in a tool's argument", body: `data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{\"usage\":{\"input_tokens\":9}}","usage":{"input_tokens":9}}}` + "\n\n", silent: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkRead(t, "text/event-stream", c.body, c.want, !c.silent)
		})
	}
}
