// Package term ties a person's terminal to the terminal that a command was given, so that the
// command looks as if it ran without anything between: keys as they are typed, colours, the size and
// its changes, ^C and ^Z, and the terminal as it was when the command ends, however it ends.
//
// The command's terminal is another one than the person's. What is typed is copied in, what is
// printed is copied out; the line discipline that turns ^C into a signal is that of the command's
// terminal, and the person's is raw meanwhile. A command that has the person's own terminal could
// type into it when it is gone.
//
// Where the standard files are no terminal, nothing is made of them: the caller passes them on and
// the bytes are what they are.
package term
