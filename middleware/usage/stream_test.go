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
		incomplete bool
	}{
		{name: "OpenAI, chat completion", body: chatStream, want: Usage{Input: 6, Output: 10, CacheRead: 13}},
		{name: "OpenAI, response", body: responseStream, want: Usage{Input: 36, Output: 87}},
		{name: "Anthropic, message", body: anthropicStream, want: Usage{Input: 472, Output: 89, CacheRead: 30, CacheWrite: 7}},
		{name: "Anthropic, without message_delta", body: before(anthropicStream, "event: message_delta"), want: Usage{Input: 472, Output: 2, CacheRead: 30, CacheWrite: 7}, incomplete: true},
		{name: "OpenAI, response that is cut off", body: before(responseStream, ",\"output_tokens\""), want: Usage{Input: 36}, incomplete: true},
		{name: "OpenAI, response in progress", body: strings.ReplaceAll(responseStream, "response.completed", "response.in_progress"), want: Usage{Input: 36, Output: 87}, incomplete: true},
		{name: "OpenAI without include_usage", body: "data: {\"choices\":[],\"usage\":null}\n\ndata: [DONE]\n\n", incomplete: true},

		{name: "LF", body: "data: " + one + "\n\n", want: both},
		{name: "CR", body: "data: [\r\rdata: " + one + "\r\r", want: both},
		{name: "CRLF", body: "data: [\r\n\r\ndata: " + one + "\r\n\r\n", want: both},
		{name: "no space", body: "data:" + one + "\n\n", want: both},
		{name: "no end", body: "data:" + one, want: both},
		{name: "byte order mark", body: "\xef\xbb\xbfdata:" + one + "\n\n", want: both},
		{name: "after a broken event", body: "data: {\"usage\":{\"input_tokens\":}\n\ndata: " + one + "\n\n", want: both},
		{name: "after one that ends early", body: "data: {\"a\":\"\n\ndata: " + one + "\n\n", want: both},
		{name: "many lines", body: "data: {\"usage\":\r\ndata:{\"input_tokens\":12\r\n: a comment\r\nid: 3\r\ndata\r\ndata: ,\"output_tokens\":5\r\ndata:}}\r\n\r\n", want: both},
		{name: "a number on two lines", body: "data: {\"usage\":{\"input_tokens\":1\ndata:2}}\n\n", want: Usage{Input: 1}, incomplete: true},
		{name: "two events", body: "data: {\"usage\":{\"input_tokens\":12}}\n\ndata: {\"usage\":{\"output_tokens\":5}}\n\n", want: both},
		{name: "not data", body: ": " + one + "\nevent: " + one + "\ndatas: " + one + "\n data: " + one + "\ndat\n" + one + "\nDATA:" + one + "\n\n", incomplete: true},
		{name: "deeper", body: "data: {\"a\":{\"response\":" + one + "},\"response\":{\"message\":" + one + "},\"message\":[" + one + "]}\n\n", incomplete: true},
		{name: "in a tool's argument", body: `data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{\"usage\":{\"input_tokens\":9}}","usage":{"input_tokens":9}}}` + "\n\n", incomplete: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkRead(t, "text/event-stream", c.body, c.want, !c.incomplete)
		})
	}
}

// before returns the part of s before the first sep.
func before(s, sep string) string {
	s, _, _ = strings.Cut(s, sep)
	return s
}

// TestComplete: when a stream is complete, whether the API has ended it or a client has
// disconnected. Only an event that ends a response makes it complete for a client that has gone.
func TestComplete(t *testing.T) {
	const (
		chunk = `data: {"choices":[],"usage":{"prompt_tokens":19}}` + "\n\n"
		start = `data: {"type":"message_start","message":{"usage":{"input_tokens":19,"output_tokens":1}}}` + "\n\n"
	)
	ended := func(kind string) string {
		return `data: {"type":"` + kind + `","response":{"usage":{"input_tokens":19}}}` + "\n\n"
	}
	for _, c := range []struct {
		name, body  string
		whole, part bool // is it complete
	}{
		{"Anthropic", anthropicStream, true, true},
		{"Anthropic, before message_stop", before(anthropicStream, "event: message_stop"), true, false},
		{"Anthropic, before the last message_delta", before(anthropicStream, `data: {"type":"message_delta","delta":{"stop_reason":"tool_use"`), true, false},
		{"Anthropic, before message_delta", before(anthropicStream, "event: message_delta"), false, false},
		{"Anthropic, without message_delta", start + `data: {"type":"message_stop"}` + "\n\n", false, false},
		{"chat completion", chatStream, true, true},
		{"chat completion, before [DONE]", before(chatStream, "data: [DONE]"), true, false},
		{"chat completion, in [DONE]", before(chatStream, "]\n\n"), true, false},
		{"chat completion, usage in each chunk", chunk + chunk, true, false},
		{"chat completion, in the usage", before(chatStream, ",\"total_tokens\""), false, false},
		{"response", responseStream, true, true},
		{"response, before the end", before(responseStream, "event: response.completed"), false, false},
		{"response.incomplete", ended("response.incomplete"), true, true},
		{"response.failed", ended("response.failed"), true, true},
		{"response.failed without a usage", `data: {"type":"response.failed","response":{"usage":null}}` + "\n\n", false, false},
		{"response.in_progress", ended("response.in_progress"), false, false},
		{"a longer type", ended("response.completed.or.not.completed.yet"), false, false},
		{"an escaped type", ended(`response\u002ecompleted`), true, true},
		{"a type at the end", `data: {"response":{"usage":{"input_tokens":19}},"type":"response.failed"}` + "\n\n", true, true},
		{"a type elsewhere", `data: {"delta":{"type":"message_stop"},"usage":{"input_tokens":19}}` + "\n\n", true, false},
		{"a type in a text", chunk + `data: {"delta":"{\"type\":\"message_stop\"}"}` + "\n\n", true, false},
		{"a type of another event", ended("response.in_progress") + `data: {"type":"response.completed","response":{}}` + "\n\n", false, false},
		{"like [DONE]", chunk + "data: [DONEX]\n\ndata: [DON]\n\ndata: []\n\ndata: [\"DONE\"]\n\ndata: DONE\n\n", true, false},
		{"[DONE] without a space", chunk + "data:[DONE]\n\n", true, true},
		{"[DONE] alone", "data: [DONE]\n\n", false, false},
	} {
		for n := 1; n <= len(c.body); n++ {
			m := metered("text/event-stream", c.body, n)
			_, whole := m.usage(true)
			_, part := m.usage(false)
			if whole != c.whole || part != c.part {
				t.Errorf("%s, in pieces of %d bytes: %v as a whole, %v cut off; want %v, %v", c.name, n, whole, part, c.whole, c.part)
				break
			}
		}
	}
}
