// Package agents holds the tests in which the real programs of coding agents, from npm, work under
// Sallyport against a fake of their vendors (package vendor): with dummy keys, in a network namespace
// from which nothing leaves. They need the build tag e2e and a folder with the programs, which
// test/agents/install.sh fills and SALLYPORT_AGENTS names.
package agents
