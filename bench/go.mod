module github.com/containrrr/shoutrrr/bench

go 1.26

require github.com/containrrr/shoutrrr v0.0.0

replace github.com/containrrr/shoutrrr => ../
