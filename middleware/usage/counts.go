package usage

// A field is a number in a usage object.
type field uint8

const (
	noField            field = iota
	promptTokens             // OpenAI, chat completions; includes what the cache read and wrote
	completionTokens         //
	totalTokens              //
	inputTokens              // Anthropic, and the Responses API of OpenAI
	outputTokens             //
	cachedTokens             // in prompt_tokens_details or input_tokens_details: a part of the prompt
	cacheWriteTokens         //
	cacheReadInput           // Anthropic: not a part of input_tokens
	cacheCreationInput       //
	fields                   // how many there are
)

// maxCount caps a number of tokens, so that no sum of them overflows. A trillion is far more
// than one response can use.
const maxCount = 1_000_000_000_000

// counts holds the last number of each field.
type counts struct {
	n [fields]int64
}

func (c *counts) set(f field, n int64) {
	c.n[f] = min(n, maxCount)
}

// usage returns the counts so that no token is in two of them.
func (c *counts) usage() Usage {
	u := Usage{
		Output:     max(c.n[completionTokens], c.n[outputTokens]),
		CacheRead:  max(c.n[cachedTokens], c.n[cacheReadInput]),
		CacheWrite: max(c.n[cacheWriteTokens], c.n[cacheCreationInput]),
	}
	// Some gateways send both families of names, one of them as zeros.
	prompt := c.n[promptTokens]
	if prompt >= c.n[inputTokens] {
		u.Input = max(prompt-u.CacheRead-u.CacheWrite, 0)
	} else {
		prompt = c.n[inputTokens]
		u.Input = max(prompt-c.n[cachedTokens]-c.n[cacheWriteTokens], 0)
	}
	// Gemini and xAI count reasoning in the total alone, rerankers report nothing but a total.
	rest := max(c.n[totalTokens]-u.Total(), 0)
	if prompt > 0 {
		u.Output += rest
	} else {
		u.Input += rest
	}
	return u
}
