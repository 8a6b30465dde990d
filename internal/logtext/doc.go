// Package logtext keeps log text within limits. A Buffer keeps a log whole, or its
// head and tail with exact counts of what it left out. Other functions make
// arbitrary bytes readable and divide a budget fairly between logs. The package is
// pure and must not import anything of Job Handler.
package logtext
