package transport

// dialects are who reports limits in which headers. Rows may share headers; the order
// of rows is the order in which the forms of one limit are preferred.
var dialects = []dialect{
	{"RFC 9110", "https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3", []fields{{headers: headers{waitFor: "Retry-After"}}}},
	{"OpenAI, waits", "https://github.com/openai/openai-go", []fields{{headers: headers{waitMs: "Retry-After-Ms"}}}},
	{"Azure, waits", "https://learn.microsoft.com/azure/cosmos-db/", []fields{{headers: headers{waitMs: "X-Ms-Retry-After-Ms"}}}},
	{"IETF", "https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/", []fields{
		{three: "RateLimit-*", headers: headers{states: "RateLimit", policies: "RateLimit-Policy"}, common: true},
	}},
	{"GitHub", "https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api", []fields{
		{three: "X-RateLimit-*", headers: headers{used: "X-RateLimit-Used", title: "X-RateLimit-Resource"}, common: true},
	}},
	{"X", "https://docs.x.com/x-api/fundamentals/rate-limits", []fields{{three: "X-Rate-Limit-*", headers: headers{title: "X-Rate-Limit-Resource"}, common: true}}},
	{"OpenAI", "https://platform.openai.com/docs/guides/rate-limits", []fields{
		{three: "X-RateLimit-*-Requests", name: "requests", bucket: true},
		{three: "X-RateLimit-*-Tokens", name: "tokens", unit: "tokens", bucket: true},
	}},
	{"Anthropic", "https://docs.anthropic.com/en/api/rate-limits", []fields{
		{three: "Anthropic-RateLimit-Requests-*", name: "requests", bucket: true},
		{three: "Anthropic-RateLimit-Tokens-*", name: "tokens", unit: "tokens", bucket: true},
		{three: "Anthropic-RateLimit-Input-Tokens-*", name: "input-tokens", unit: "input-tokens", bucket: true},
		{three: "Anthropic-RateLimit-Output-Tokens-*", name: "output-tokens", unit: "output-tokens", bucket: true},
	}},
	{"Shopify", "https://shopify.dev/docs/api/admin-rest/usage/rate-limits", []fields{{headers: headers{ratio: "X-Shopify-Shop-Api-Call-Limit"}}}},
}
