module github.com/keyrate/keyrate/middleware/interop/routers

go 1.26.0

replace github.com/keyrate/keyrate => ../../..

require (
	github.com/danielgtaylor/huma/v2 v2.37.2
	github.com/go-chi/chi/v5 v5.5.0
	github.com/gorilla/mux v1.8.1
	github.com/keyrate/keyrate v0.0.0-00010101000000-000000000000
)

require golang.org/x/time v0.16.0 // indirect
