module example.com/shop

go 1.26.0

require (
	github.com/BurntSushi/toml v1.6.0
	github.com/old/thing v1.0.0
	github.com/pinned/thing v1.0.0+incompatible
	golang.org/x/mod v0.42.0 // indirect
	example.com/local v0.0.0
)

replace github.com/old/thing => github.com/new/thing v1.2.0

replace example.com/local => ../local

tool golang.org/x/mod/cmd/x
