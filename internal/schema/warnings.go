package schema

type lint struct{ *source }

func newLint(s *source) *lint                       { return &lint{source: s} }
func (l *lint) look(node map[string]any, at string) {}
func (l *lint) warn(at, format string, args ...any) {}
func (l *lint) warnings() []Problem                 { return nil }
