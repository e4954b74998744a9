package types

// Params are parameters of one message. They override the parameters of the
// service's URL; names are not case-sensitive, and an empty value means unset. To set
// something in nil Params panics, as it does with any map: make them first.
type Params map[string]string

// Names that mean the same for every service.
const (
	TitleKey   = "title"
	MessageKey = "message"
	LevelKey   = "level"
)

// SetTitle sets the title of the message.
func (p Params) SetTitle(title string) { p[TitleKey] = title }

// Title returns the title and whether one is set.
func (p Params) Title() (title string, found bool) {
	title, found = p[TitleKey]
	return title, found
}

// SetMessage sets the message parameter. Send's own message stands above it.
func (p Params) SetMessage(message string) { p[MessageKey] = message }

// SetLevel sets the level of the message.
func (p Params) SetLevel(level MessageLevel) { p[LevelKey] = level.String() }

// Level returns the level and whether a known one is set.
func (p Params) Level() (MessageLevel, bool) {
	name, found := p[LevelKey]
	if !found {
		return Unknown, false
	}
	return ParseMessageLevel(name)
}
