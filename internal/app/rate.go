package app

import (
	"time"

	"eventgateway/internal/config"
	"eventgateway/internal/rate"
)

// rateWait bounds what a call waits for its rate to be counted in Redis.
const rateWait = 50 * time.Millisecond

// limitRates makes what counts the calls of clients. Where nobody has a rate it
// costs nothing, and one may come with a reload.
func (a *App) limitRates() {
	a.rates = rate.New(rate.Config{Wait: rateWait}, rate.NewRedis(a.rdb), a.logger, rate.NewMetrics(a.registry))
	a.rates.Replace(limitsOf(a.cfg.Auth))
}

func limitsOf(a config.Auth) rate.Limits {
	limits := rate.Limits{Clients: map[string]rate.Limit{}}
	for _, c := range a.Clients {
		limits.Clients[c.Name] = rate.Limit(c.Rate)
	}
	if a.JWT != nil {
		limits.Tokens = rate.Limit(a.JWT.Rate)
	}
	return limits
}
