"""Dropout in continuous time in mpmath: what the kernels are held against, as plainly as the definitions."""

import mpmath as mp


def survival(dropout, t):
    """S(t): Pareto with (s, β), gamma-Gompertz with (s, b, β)."""
    s, *pace, beta = dropout
    clock = mp.expm1(pace[0] * t) if pace else t
    return (beta / (beta + clock)) ** s


def density(dropout, t):
    """f(t) = −S'(t)."""
    s, *pace, beta = dropout
    if pace:
        b = pace[0]
        return s * b * mp.exp(b * t) / (beta + mp.expm1(b * t)) * survival(dropout, t)
    return s / (beta + t) * survival(dropout, t)


def breaks(dropout, end, *more):
    """Where to divide (0, end): at all scales down to 1e-9, and where a Gompertz clock bends."""
    places = {mp.mpf(0), mp.mpf(end)} | {mp.mpf(10) ** -9 * mp.mpf(16) ** k for k in range(15)} | set(more)
    if len(dropout) == 3:
        s, b, beta = dropout
        bend = mp.log(max(beta, 1)) / b
        places |= {bend + step / b for step in (-8, -4, -2, -1, 0, 1, 2, 4, 8)} | {
            bend + k / (b * s) for k in (1, 4, 16)
        }
    return sorted(place for place in places if 0 <= place <= end)


def bracket(params, x, t_x, T):
    """The two parts of the likelihood relative to S(t_x)(α + t_x)^−m: alive at T, dropped out before."""
    (r, alpha, *dropout), (x, t_x, T) = map(mp.mpf, params), map(mp.mpf, (x, t_x, T))
    m, a, front = r + x, alpha + t_x, survival(dropout, t_x)
    alive = survival(dropout, T) / front * (a / (alpha + T)) ** m
    if t_x == T:
        return alive, mp.mpf(0)

    def dropped_out(since):
        return density(dropout, t_x + since) / front * (a / (a + since)) ** m

    return alive, mp.quad(dropped_out, breaks(dropout, T - t_x))


def log_likelihood(params, x, t_x, T):
    alive, dead = bracket(params, x, t_x, T)
    (r, alpha, *dropout), (x, t_x) = map(mp.mpf, params), map(mp.mpf, (x, t_x))
    bought = mp.loggamma(r + x) - mp.loggamma(r) + r * mp.log(alpha) - (r + x) * mp.log(alpha + t_x)
    return bought + mp.log(survival(dropout, t_x)) + mp.log(alive + dead)


def pareto_log_likelihood(params, x, t_x, T):
    """The form of the papers: Fader & Hardie (2005), "A Note on Deriving the Pareto/NBD Model", eqs. 19 to 22.

    It takes the difference of numbers that may share hundreds of digits, so the precision is raised until that is over.
    """
    (r, alpha, s, beta), (x, t_x, T) = map(mp.mpf, params), map(mp.mpf, (x, t_x, T))
    high, other = max(alpha, beta), s + 1 if alpha >= beta else r + x

    def part(t):
        z = abs(alpha - beta) / (high + t)
        return mp.hyp2f1(r + s + x, other, r + s + x + 1, z) / (high + t) ** (r + s + x)

    def whole():
        dead = s / (r + s + x) * (part(t_x) - part(T))
        bought = mp.loggamma(r + x) - mp.loggamma(r) + r * mp.log(alpha) + s * mp.log(beta)
        return bought + mp.log((alpha + T) ** -(r + x) * (beta + T) ** -s + dead)

    return _settled(whole)


def _settled(compute):
    digits, before = 50, mp.inf
    while True:
        with mp.workdps(digits):
            now = mp.re(compute())
        if abs(now - before) < mp.mpf(10) ** -25 * max(1, abs(now)):
            return now
        digits, before = 2 * digits, now


def slopes(function, params, *history):
    """Derivatives by the logarithms of the parameters, as central differences in 30 digits."""
    step = mp.mpf(10) ** -8
    with mp.workdps(30):
        found = []
        for place in range(len(params)):
            above, below = (
                [mp.mpf(value) * (mp.exp(move) if k == place else 1) for k, value in enumerate(params)]
                for move in (step, -step)
            )
            found.append((function(above, *history) - function(below, *history)) / (2 * step))
        return found


def p_alive(params, x, t_x, T):
    alive, dead = bracket(params, x, t_x, T)
    return alive / (alive + dead)


def time_integral(params, T, horizon, rate=0, power=0):
    """∫ v^power e^(−rate·v) S(T + v)/S(T) dv over the horizon."""
    dropout, T, rate = [mp.mpf(value) for value in params[2:]], mp.mpf(T), mp.mpf(rate)
    more = [k / rate for k in (1, 2, 4, 8, 16, 32, 64)] if rate else []
    end = 100 / rate if mp.isinf(horizon) else mp.mpf(horizon)
    front = survival(dropout, T)
    return mp.quad(
        lambda v: v**power * mp.exp(-rate * v) * survival(dropout, T + v) / front, breaks(dropout, end, *more)
    )


def probability(params, x, T, horizon, count):
    (r, alpha, *dropout), (x, T, horizon) = map(mp.mpf, params), map(mp.mpf, (x, T, horizon))
    m, a, front = r + x, alpha + T, survival(dropout, T)

    def bought(v):
        chance = mp.gamma(m + count) / mp.gamma(m) / mp.factorial(count) * (a / (a + v)) ** m
        return chance * (v / (a + v)) ** count if count else chance

    lasting = survival(dropout, T + horizon) / front * bought(horizon)
    # Scaled, for mpmath's idea of small is absolute.
    scale = max(bought(horizon), bought(min(horizon, a * count / m + horizon / 1000)))
    places = [horizon * mp.mpf(2) ** (-mp.mpf(k) / 4) for k in range(60)]
    gone = mp.quad(lambda v: density(dropout, T + v) / front * bought(v) / scale, breaks(dropout, horizon, *places))
    return lasting + scale * gone
