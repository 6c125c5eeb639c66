package usage_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/usage"
)

const (
	document = `{"usage":{"input_tokens":3,"output_tokens":4}}`
	stream   = "data: " + document + "\n\n"
	done     = "data: [DONE]\n\n"
)

var seven = usage.Usage{Input: 3, Output: 4}

// reports records what a Report gets.
type reports chan report

type report struct {
	path string
	u    usage.Usage
	ok   bool
}

func (r reports) add(request *http.Request, u usage.Usage, ok bool) {
	r <- report{request.URL.Path, u, ok}
}

// check checks that there is one report, and which.
func (r reports) check(t *testing.T, want report) {
	t.Helper()
	select {
	case got := <-r:
		if got != want {
			t.Errorf("reported %+v, want %+v", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was reported")
	}
	if len(r) > 0 {
		t.Errorf("reported again: %+v", <-r)
	}
}

func newReports() reports { return make(reports, 10) }

// to returns a request for a path.
func to(path string) *http.Request {
	return httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil)
}

// serve starts a server whose handler f has a Report.
func serve(t *testing.T, r reports, f http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(usage.Report(r.add).Handler(f))
	t.Cleanup(s.Close)
	return s
}

// get returns the length that the response to a GET request states, and its body.
func get(t *testing.T, url string) (length int64, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.ContentLength, string(text)
}

// as returns w as what else it is, or the zero T.
func as[T any](w http.ResponseWriter) T {
	v, _ := w.(T)
	return v
}

// TestHandler writes a document in each way that a handler can.
func TestHandler(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter){
		"Write": func(w http.ResponseWriter) { _, _ = w.Write([]byte(document)) },
		"Write twice": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(document[:20]))
			_, _ = w.Write([]byte(document[20:]))
		},
		"WriteString": func(w http.ResponseWriter) { _, _ = io.WriteString(w, document+strings.Repeat(" ", 2000)) },
		"ReadFrom":    func(w http.ResponseWriter) { _, _ = io.Copy(w, io.LimitReader(strings.NewReader(document), 1000)) },
		"WriteTo":     func(w http.ResponseWriter) { _, _ = io.Copy(w, strings.NewReader(document)) },
		"WriteHeader": func(w http.ResponseWriter) {
			final := w.Header().Get("Content-Type")
			w.Header().Del("Content-Type")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Content-Type", final)
			w.WriteHeader(http.StatusCreated)
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte(document))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReports()
			s := serve(t, r, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/problem+JSON; charset=utf-8")
				write(w)
			})
			if _, text := get(t, s.URL+"/a"); strings.TrimRight(text, " ") != document {
				t.Errorf("the body is %q", text)
			}
			r.check(t, report{"/a", seven, true})
		})
	}
}

// TestHandlerSilent: responses without a usage, or whose usage cannot be read.
func TestHandlerSilent(t *testing.T) {
	for name, header := range map[string]http.Header{
		"no type":       {},
		"another type":  {"Content-Type": {"text/plain"}},
		"a longer type": {"Content-Type": {"application/jsonl"}},
		"gzip":          {"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}},
		"two encodings": {"Content-Type": {"application/json"}, "Content-Encoding": {"identity", "br"}},
		"a stream":      {"Content-Type": {"text/event-stream"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReports()
			usage.Report(r.add).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				maps.Copy(w.Header(), header)
				_, _ = io.WriteString(w, document)
				_, _ = io.Copy(w, io.LimitReader(strings.NewReader(document), 1000))
			})).ServeHTTP(httptest.NewRecorder(), to("/b"))
			r.check(t, report{path: "/b"})
		})
	}
	t.Run("nothing", func(t *testing.T) {
		r := newReports()
		usage.Report(r.add).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).
			ServeHTTP(httptest.NewRecorder(), to("/b"))
		r.check(t, report{path: "/b"})
	})
}

// TestHandlerPanic: the panic of a handler goes on, and its stream is complete only if that has
// said so.
func TestHandlerPanic(t *testing.T) {
	for body, ok := range map[string]bool{stream: false, stream + done: true} {
		r := newReports()
		h := usage.Report(r.add).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, body)
			panic(http.ErrAbortHandler)
		}))
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Errorf("panicked with %v", err)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), to("/"))
		}()
		r.check(t, report{"/", seven, ok})
	}
}

// TestHandlerGone: a stream is incomplete if the client disconnects, even if the handler then
// returns as if nothing had happened.
func TestHandlerGone(t *testing.T) {
	for name, c := range map[string]struct {
		canceled, failing bool
		write             func(w http.ResponseWriter, text string)
		ok                bool
	}{
		"there":           {write: func(w http.ResponseWriter, text string) { _, _ = io.WriteString(w, text) }, ok: true},
		"canceled":        {canceled: true, write: func(w http.ResponseWriter, text string) { _, _ = io.WriteString(w, text) }},
		"a failed Write":  {failing: true, write: func(w http.ResponseWriter, text string) { _, _ = w.Write([]byte(text)) }},
		"a failed string": {failing: true, write: func(w http.ResponseWriter, text string) { _, _ = io.WriteString(w, text) }},
		"a failed ReadFrom": {failing: true, write: func(w http.ResponseWriter, text string) {
			_, _ = io.Copy(w, io.LimitReader(strings.NewReader(text), 1000))
		}},
		"a source that fails": {write: func(w http.ResponseWriter, text string) {
			_, _ = io.Copy(w, io.MultiReader(strings.NewReader(text), errorReader{io.ErrUnexpectedEOF}))
		}},
	} {
		for _, body := range []string{stream, stream + done} {
			r := newReports()
			h := usage.Report(r.add).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				c.write(w, body)
			}))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.canceled {
				cancel()
			}
			var w http.ResponseWriter = httptest.NewRecorder()
			if c.failing {
				w = failing{w}
			}
			h.ServeHTTP(w, to("/").WithContext(ctx))
			if r.check(t, report{"/", seven, c.ok || body != stream}); t.Failed() {
				t.Fatal(name)
			}
		}
	}
}

// A failing is a ResponseWriter whose client has disconnected.
type failing struct{ http.ResponseWriter }

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestReportPanic: the client gets the whole response although the Report panics.
func TestReportPanic(t *testing.T) {
	panics := func(*http.Request, usage.Usage, bool) { panic("secret") }
	upstream := httptest.NewServer(usage.Report(panics).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, document)
	})))
	defer upstream.Close()
	logged := captureLog(t)
	s := proxyTo(t, upstream.URL, panics)
	if _, text := get(t, s.URL); text != document {
		t.Errorf("the body is %q", text)
	}
	if text := logged(); strings.Count(text, "Report has panicked") != 2 || strings.Contains(text, "secret") {
		t.Errorf("logged %q", text)
	}
}

// TestNil: a nil Report leaves a response as it is.
func TestNil(t *testing.T) {
	usage.Report(nil).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, ok := w.(*httptest.ResponseRecorder); !ok {
			t.Errorf("the writer is %T", w)
		}
	})).ServeHTTP(httptest.NewRecorder(), to("/"))
	response := &http.Response{Header: http.Header{"Content-Type": {"application/json"}}, Body: http.NoBody}
	if err := usage.Report(nil).ModifyResponse(response); err != nil || response.Body != http.NoBody {
		t.Errorf("%v, the body is %T", err, response.Body)
	}
}

// TestFlush: a client gets each event when it is flushed, by either way to flush.
func TestFlush(t *testing.T) {
	for name, flush := range map[string]func(w http.ResponseWriter) error{
		"ResponseController": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"Flusher":            func(w http.ResponseWriter) error { as[http.Flusher](w).Flush(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			r, got := newReports(), make(chan bool)
			s := serve(t, r, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for _, part := range []string{"", stream[:9], stream[9:]} {
					_, _ = io.WriteString(w, part)
					if err := flush(w); err != nil {
						t.Error(err)
					}
					<-got
				}
			})
			readInTime(t, s.URL, got)
			r.check(t, report{"/", seven, true})
		})
	}
}

// readInTime reads stream in the parts of TestFlush, and sends to got after each.
func readInTime(t *testing.T, url string, got chan<- bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer close(got) // lets the handler end
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got <- true // the header is here
	for _, part := range []string{stream[:9], stream[9:]} {
		p := make([]byte, len(part))
		if _, err := io.ReadFull(response.Body, p); err != nil || string(p) != part {
			t.Fatalf("%q, %v; want %q", p, err, part)
		}
		got <- true
	}
	if rest, err := io.ReadAll(response.Body); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}

// TestResponseController: deadlines, full duplex and hijacking work as without a Handler, and
// a writer without them says so.
func TestResponseController(t *testing.T) {
	r := newReports()
	s := serve(t, r, func(w http.ResponseWriter, req *http.Request) {
		c := http.NewResponseController(w)
		for name, err := range map[string]error{
			"SetReadDeadline":  c.SetReadDeadline(time.Now().Add(time.Minute)),
			"SetWriteDeadline": c.SetWriteDeadline(time.Now().Add(time.Minute)),
			"EnableFullDuplex": c.EnableFullDuplex(),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		hijack := c.Hijack
		if req.URL.Path == "/hijacker" {
			hijack = as[http.Hijacker](w).Hijack
		}
		conn, buffered, err := hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = buffered.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
		_ = buffered.Flush()
	})
	for _, path := range []string{"/controller", "/hijacker"} {
		if _, text := get(t, s.URL+path); text != "hi" {
			t.Errorf("%s: the body is %q", path, text)
		}
		r.check(t, report{path: path})
	}

	usage.Report(r.add).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
			t.Error("a writer that cannot be hijacked was")
		}
		if err := http.NewResponseController(w).Flush(); err == nil {
			t.Error("a writer that cannot be flushed was")
		}
	})).ServeHTTP(struct{ http.ResponseWriter }{httptest.NewRecorder()}, to("/plain"))
	r.check(t, report{path: "/plain"})
}

// TestReadFromUnread: a body that is not read goes to the server's own ReadFrom.
func TestReadFromUnread(t *testing.T) {
	w := &readerFrom{ResponseWriter: httptest.NewRecorder()}
	source := bufio.NewReader(bytes.NewReader(nil))
	usage.Report(newReports().add).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = as[io.ReaderFrom](w).ReadFrom(struct{ io.Reader }{source})
	})).ServeHTTP(w, to("/"))
	if w.source != (struct{ io.Reader }{source}) {
		t.Errorf("it got %T", w.source)
	}
}

type readerFrom struct {
	http.ResponseWriter
	source io.Reader
}

func (w *readerFrom) ReadFrom(source io.Reader) (int64, error) {
	w.source = source
	return 0, nil
}

// TestHandlerAllocations: one allocation for a response, none for a piece of it.
func TestHandlerAllocations(t *testing.T) {
	header := http.Header{"Content-Type": {"text/event-stream"}}
	allocations := func(pieces int) float64 {
		h := usage.Report(func(*http.Request, usage.Usage, bool) {}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for range pieces {
				_, _ = io.WriteString(w, stream)
			}
		}))
		r := to("/")
		return testing.AllocsPerRun(100, func() { h.ServeHTTP(discard{header}, r) })
	}
	one, many := allocations(1), allocations(101)
	if many != one || one > 3 { // one is the discard
		t.Errorf("%v allocations for a response of 1 piece, %v for one of 101", one, many)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header             { return d.header }
func (discard) Write(p []byte) (int, error)       { return len(p), nil }
func (discard) WriteString(s string) (int, error) { return len(s), nil }
func (discard) WriteHeader(int)                   {}
