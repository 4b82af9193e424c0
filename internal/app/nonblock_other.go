//go:build !unix

package app

// nonblock is nothing here: there are no named pipes among files.
const nonblock = 0
