package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// A model is an API that answers as one with a model does, by a stream of events. It says
// nothing of worth, and remembers when it used which tokens, as the bill of a real one would.
type model struct {
	seed uint64

	mu     sync.Mutex
	spends []spend
}

// A spend is when tokens of a call were used.
type spend struct {
	call   int
	at     time.Time
	tokens int
}

const (
	perEvent   = 20 // tokens
	eventPause = 50 * time.Millisecond
	// callHeader numbers the calls, for the bill. The gateway passes it on, as all headers.
	callHeader = "X-Call"
)

type completionRequest struct {
	MaxTokens     int             `json:"max_tokens"`
	Stream        bool            `json:"stream"`
	StreamOptions streamOptions   `json:"stream_options"`
	Messages      []promptMessage `json:"messages"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type promptMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request completionRequest
	call, err := strconv.Atoi(r.Header.Get(callHeader))
	if err != nil || json.NewDecoder(r.Body).Decode(&request) != nil || request.MaxTokens < 1 || !request.Stream {
		http.Error(w, `must be a stream with max_tokens and the header `+callHeader, http.StatusBadRequest)
		return
	}
	prompt := 0
	for _, message := range request.Messages {
		prompt += (len(message.Content) + 3) / 4
	}
	random := rand.New(rand.NewPCG(m.seed, uint64(call))) //nolint:gosec // how much is said need not be a secret
	output := max(request.MaxTokens/4+random.IntN(request.MaxTokens*3/4+1), 1)
	w.Header().Set("Content-Type", "text/event-stream")
	m.spend(call, prompt)
	flush := http.NewResponseController(w).Flush
	for rest := output; rest > 0; rest -= perEvent {
		select {
		case <-r.Context().Done():
			return // the client, or its gateway, has gone
		case <-time.After(eventPause):
		}
		m.spend(call, min(rest, perEvent))
		fmt.Fprint(w, `data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"well, "}}]}`+"\n\n")
		if flush() != nil {
			return
		}
	}
	if request.StreamOptions.IncludeUsage {
		fmt.Fprintf(w, `data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}`+"\n\n", prompt, output, prompt+output)
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func (m *model) spend(call, tokens int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spends = append(m.spends, spend{call, time.Now(), tokens})
}

// bill returns what was used so far.
func (m *model) bill() []spend {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]spend(nil), m.spends...)
}
