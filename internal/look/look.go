// Package look is how the pages look: the style sheet that the relay's console and
// the emulator's page share.
package look

import _ "embed"

// Style is the sheet. It is calm: one accent for each state, and the state is
// always written as well.
//
//go:embed family.css
var Style string
