// Package usage reads how many tokens a response of a model API (LLM) reports, while it passes.
//
//	report := usage.Report(func(r *http.Request, u usage.Usage, ok bool) {
//		if ok { // otherwise charge an estimate
//			charge(context.WithoutCancel(r.Context()), u.Total())
//		}
//	})
//	proxy.ModifyResponse = report.ModifyResponse
//
// Use [Report.ModifyResponse] for a ReverseProxy or an HTTP client, and [Report.Handler] around
// your own handler. Neither changes or delays a byte. Neither keeps a body: a response takes
// less than a kilobyte of memory, however long it is.
//
// # What is read
//
// A JSON body (application/json or +json) has the usage in its member usage. A stream
// (text/event-stream) has it in the data of its events, in usage, message.usage or
// response.usage. An object usage anywhere else is not read, nor is one in a text that the
// model wrote. These names are known:
//
//	prompt_tokens, completion_tokens, total_tokens           OpenAI: chat completions, embeddings
//	input_tokens, output_tokens, total_tokens                OpenAI: responses
//	cached_tokens, cache_write_tokens                        in prompt_tokens_details or input_tokens_details
//	input_tokens, output_tokens                              Anthropic: messages
//	cache_read_input_tokens, cache_creation_input_tokens
//
// prompt_tokens and the input_tokens of OpenAI include cached tokens, the input_tokens of
// Anthropic do not; a [Usage] never includes them in Input. What total_tokens has in excess of
// the other counts is added to Output: Gemini and xAI count reasoning there alone. If a
// response reports no prompt, the excess is added to Input.
//
// A stream may report a count several times, as it grows; the last one of each name is used.
// A count is rounded up and capped at a trillion. One that is negative or has an exponent is
// ignored. Reading stops where the JSON text of a body or event is malformed.
//
// # What is complete
//
// A client can disconnect when it has read the text that it wanted, and before the usage
// arrives. So a [Report] learns whether the usage is complete:
//
//   - that of a JSON body, if all of the body was read;
//   - that of a stream, after an event that ends it: message_stop, response.completed,
//     response.incomplete, response.failed or [DONE];
//   - that of a stream without such an event, if the API has ended the stream.
//
// In the events message_start and response.in_progress a count is provisional: it needs a later
// one, in message_delta or response.completed.
//
// # What an API must send
//
// OpenAI streams chat completions without usage, unless the request says
// "stream_options": {"include_usage": true}. It comes with the last event, so a client that
// disconnects earlier leaves nothing to report. Anthropic reports the prompt in the first
// event and the output in message_delta, near the end.
//
// A body with a Content-Encoding, such as gzip, is not read, and false is reported. Ask the
// upstream for none, in the Rewrite function of the ReverseProxy:
//
//	r.Out.Header.Set("Accept-Encoding", "identity")
package usage
