# SPDX-License-Identifier: Apache-2.0
"""Reports what is found in two captures to a broker, as the daemon does.

Arguments: URL LAN.pcap WAN.pcap BOOT.

Prints how many findings there were, once the broker has acknowledged all of them, and the time.
"""

from __future__ import annotations

import sys
import time

from verdicts import through_a_pipe


def main(url: str, lan: str, wan: str, boot: str) -> int:
    from algwatch.advise.advice import Advice
    from algwatch.cli.source import Source
    from algwatch.diagnose.finding import Finding
    from algwatch.report.broker import Broker
    from algwatch.report.encode import Encoder
    from algwatch.report.outbox import Outbox
    from algwatch.report.privacy import Privacy
    from algwatch.report.publisher import Publisher

    encoder = Encoder("cpe1", "0.1.0", boot, Privacy(bytes(32)))
    outbox = Outbox(1 << 20)
    publisher = Publisher(Broker(url), encoder, outbox, time.time, print, {})
    source = Source([], [through_a_pipe(lan)], [through_a_pipe(wan)], [5060])
    source.check()
    reports = list(source.reports())
    publisher.start()
    end = time.monotonic() + 60
    while not publisher.connected and time.monotonic() < end:
        time.sleep(0.05)
    found = [report for report in reports if isinstance(report, Finding)]
    for finding in found:
        publisher.finding(finding)
    publisher.advice([report for report in reports if isinstance(report, Advice)])
    while len(outbox) and time.monotonic() < end:
        time.sleep(0.05)
    print("acknowledged", len(found), int(time.time()))
    return 0 if publisher.stop(20) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
