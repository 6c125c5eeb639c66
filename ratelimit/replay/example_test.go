package replay_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

// accessLog is a file: alice makes four requests in a second, bob makes one.
const accessLog = `192.0.2.1 - alice [29/Nov/2026:12:00:00 +0000] "GET /a HTTP/1.1" 200 17
192.0.2.1 - alice [29/Nov/2026:12:00:00 +0000] "GET /b HTTP/1.1" 200 17
192.0.2.1 - alice [29/Nov/2026:12:00:00 +0000] "GET /c HTTP/1.1" 200 17
192.0.2.7 - bob [29/Nov/2026:12:00:09 +0000] "GET /a HTTP/1.1" 200 17
192.0.2.1 - alice [29/Nov/2026:12:00:00 +0000] "GET /slow HTTP/1.1" 200 17
`

func Example() {
	reader, err := replay.NewReader(replay.Config{Key: "user"})
	if err != nil {
		log.Fatal(err)
	}
	if err := reader.Add("access.log", strings.NewReader(accessLog)); err != nil {
		log.Fatal(err)
	}
	requests, err := reader.Log()
	if err != nil {
		log.Fatal(err)
	}
	candidates := []ratelimit.Limits{ratelimit.PerSecond(3), ratelimit.PerSecond(5)}
	outcomes, err := requests.Replay(context.Background(), candidates...)
	if err != nil {
		log.Fatal(err)
	}
	for i, o := range outcomes {
		fmt.Printf("%v denies %d of %d requests, and %d of %d keys\n", candidates[i], o.Denied, o.Requests, o.KeysDenied, o.Keys)
	}
	demands, err := requests.Rates(time.Second)
	if err != nil {
		log.Fatal(err)
	}
	rate, _ := demands[0].Smallest(500)
	all, _ := demands[0].Smallest(1000)
	fmt.Printf("half of the keys need %d/s, all need %d/s\n", rate, all)
	// Output:
	// 3/s denies 1 of 5 requests, and 1 of 2 keys
	// 5/s denies 0 of 5 requests, and 0 of 2 keys
	// half of the keys need 1/s, all need 4/s
}

func ExampleLog_Suggest() {
	reader, err := replay.NewReader(replay.Config{Key: "user"})
	if err != nil {
		log.Fatal(err)
	}
	if err := reader.Add("access.log", strings.NewReader(accessLog)); err != nil {
		log.Fatal(err)
	}
	requests, err := reader.Log()
	if err != nil {
		log.Fatal(err)
	}
	config, promises, err := requests.Suggest(time.Minute, 999)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range promises {
		fmt.Printf("%v denies something to %d of %d keys\n", p.Limit, p.Denied, p.Keys)
	}
	file, err := config.MarshalJSON()
	if err != nil {
		log.Fatal(err)
	}
	os.Stdout.Write(file)
	// Output:
	// 4/m;shadow denies something to 0 of 2 keys
	// {
	//   "default": "4/m;shadow"
	// }
}
