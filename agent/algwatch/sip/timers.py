# SPDX-License-Identifier: Apache-2.0
"""The timers of RFC 3261 section 17 and Table 4, in nanoseconds of packet time."""

SECOND = 1_000_000_000
T1 = SECOND // 2
T2 = 4 * SECOND
T4 = 5 * SECOND
TIMER_B = 64 * T1  # INVITE client transaction without any response
TIMER_F = 64 * T1  # non-INVITE client transaction without a final response
TIMER_H = 64 * T1  # a refusal of an INVITE without ACK: no more is sent
TIMER_C = 180 * SECOND  # INVITE that proceeds, in a proxy (section 16.6)
ACK_WAIT = 64 * T1  # 2xx without ACK: the callee gives up and sends BYE (section 13.3.1.4)

# After an answer has passed, its sender stops within this time on any path but a satellite's. T1 is
# longer.
ROUND = 2 * SECOND // 5

# Two copies of one message at one router are never further apart (measured: 0.05 to 1 ms). A
# retransmission never comes sooner than T1.
WINDOW = SECOND // 4
