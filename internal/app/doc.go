// Package app wires the gateway together and stops it in order. It holds no
// logic of its own: New builds every part from the configuration, Run serves
// until its context ends and then goes not ready → drain → settle → flush →
// close.
//
// It may import every internal package but dev.
package app
