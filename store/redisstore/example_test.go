package redisstore_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/redisstore"
)

// Two nodes, each with a limiter of its own, share the limit of a key.
func Example() {
	server, err := miniredis.Run() // an emulation of Redis, for the example
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	limiter := func() *ratelimit.Limiter {
		// A client of your own, here with the default timeouts. NewClient sets all options that matter.
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
		backend, err := redisstore.New(client, redisstore.Config{Secret: []byte("better 32 bytes of crypto/rand ...")})
		if err != nil {
			log.Fatal(err)
		}
		limiter, err := ratelimit.New(backend, ratelimit.PerHour(3), ratelimit.Config{Timeout: time.Second})
		if err != nil {
			log.Fatal(err)
		}
		return limiter
	}
	one, other := limiter(), limiter()
	for range 2 {
		for _, l := range []*ratelimit.Limiter{one, other} {
			r, err := l.Allow(context.Background(), "key-a")
			if err != nil {
				log.Fatal(err)
			}
			fmt.Println(r.Allowed, r.Remaining())
		}
	}
	// Output:
	// true 2
	// true 1
	// true 0
	// false 0
}

// A client with the default options of go-redis would wait 10 s for a Redis that hangs.
func ExampleNew_incorrect() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer client.Close()
	_, err := redisstore.New(client, redisstore.Config{})
	fmt.Println(err)
	// Output:
	// redisstore: the client does not heed deadlines, so that a decision would hang for seconds when Redis does; set ContextTimeoutEnabled: true, and MaxRetries: -1, in its options, or make it with redisstore.NewClient, or of your own with redisstore.FromClient
}

func ExampleNewClient() {
	for _, url := range []string{
		"redis://localhost:6379/0",
		"rediss://user:pass%2Fword@localhost:6379/0",
		"redis://localhost:7001,localhost:7002,localhost:7003",
		"redis://localhost:26379,localhost:26380/0?master_name=mymaster",
		"localhost:6379",
	} {
		client, err := redisstore.NewClient(url)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%T\n", client)
		client.Close()
	}
	// Output:
	// *redis.Client
	// *redis.Client
	// *redis.ClusterClient
	// *redis.Client
	// redisstore: the URL must begin with redis://, rediss:// or unix://, such as redis://localhost:6379/0
}

// An application passes its own client, with any options.
func ExampleFromClient() {
	app := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer app.Close()
	client, err := redisstore.FromClient(app)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	backend, err := redisstore.New(client, redisstore.Config{Secret: []byte("better 32 bytes of crypto/rand ...")})
	if err != nil {
		log.Fatal(err)
	}
	_ = backend // for ratelimit.New
	fmt.Println("nothing was dialed yet")
	// Output: nothing was dialed yet
}
