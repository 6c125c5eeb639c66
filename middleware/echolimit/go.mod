module github.com/keyrate/keyrate/middleware/echolimit

go 1.26.0

replace github.com/keyrate/keyrate => ../..

require (
	github.com/keyrate/keyrate v0.0.0-00010101000000-000000000000
	github.com/labstack/echo/v5 v5.4.5
)

require golang.org/x/time v0.16.0 // indirect
