import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { TransportError } from "../../../protocols/quic/errors.ts";
import { LossDetection, type LossOutcome, type PacketNumberSpace } from "../../../protocols/quic/loss_detection.ts";
import { Rtt } from "../../../protocols/quic/rtt.ts";
import { SentPacket } from "../../../protocols/quic/sent_packet.ts";

interface SendOptions {
  readonly space?: PacketNumberSpace;
  readonly isAckEliciting?: boolean;
  readonly pathId?: number;
}

class Fixture {
  readonly rtt = new Rtt();
  readonly loss: LossDetection;
  #record = new SentPacket();

  constructor(role: "client" | "server" = "server") {
    this.loss = new LossDetection({ role, rtt: this.rtt });
  }

  send(packetNumber: number, sentAt: number, options: SendOptions = {}): void {
    const packet = this.#record;
    packet.packetNumber = packetNumber;
    packet.sentAt = sentAt;
    packet.bytes = 1200;
    packet.isAckEliciting = packet.isInFlight = options.isAckEliciting ?? true;
    packet.pathId = options.pathId ?? 0;
    this.#record = this.loss.onPacketSent(options.space ?? "Application", packet);
  }

  /** Ranges as `[largest, smallest]`, from the highest down. */
  ack(ranges: number[][], now: number, options: { space?: PacketNumberSpace; ackDelayMs?: number } = {}): LossOutcome {
    return this.loss.onAck(
      options.space ?? "Application",
      { largestAcknowledged: ranges[0]![0]!, ranges: ranges.flat(), rangeCount: ranges.length },
      options.ackDelayMs ?? 0,
      now,
    );
  }
}

function numbers(packets: readonly SentPacket[], count: number): number[] {
  return packets.slice(0, count).map((packet) => packet.packetNumber);
}

function confirmed(role: "client" | "server" = "server"): Fixture {
  const fixture = new Fixture(role);
  fixture.loss.onHandshakeConfirmed(0);
  return fixture;
}

Deno.test("LossDetection hands out newly acknowledged packets in ascending order, each once (RFC 9002 §A.7)", () => {
  const f = confirmed();
  for (let n = 0; n < 10; n++) f.send(n, n);
  const first = f.ack([[6, 5], [2, 1]], 50);
  deepStrictEqual(numbers(first.acked, first.ackedCount), [1, 2, 5, 6]);
  deepStrictEqual(numbers(first.lost, first.lostCount), [0, 3]);
  const again = f.ack([[6, 5], [2, 1]], 51);
  strictEqual(again.ackedCount, 0);
  strictEqual(again.lostCount, 0);
  const second = f.ack([[9, 4]], 52);
  deepStrictEqual(numbers(second.acked, second.ackedCount), [4, 7, 8, 9]);
  strictEqual(f.loss.largestAcknowledged("Application"), 9);
  strictEqual(f.loss.hasAckElicitingInFlight, false);
  strictEqual(f.loss.timeoutAt(), undefined);
});

Deno.test("LossDetection declares a packet lost three numbers below an acknowledged one (RFC 9002 §6.1.1)", () => {
  const f = confirmed();
  for (let n = 0; n < 4; n++) f.send(n, 0);
  strictEqual(f.ack([[2, 1]], 100).lostCount, 0);
  const outcome = f.ack([[3, 1]], 100);
  deepStrictEqual(numbers(outcome.lost, outcome.lostCount), [0]);
  strictEqual(outcome.isPersistentCongestion, false);
});

Deno.test("LossDetection declares a packet lost 9/8 of the RTT after it was sent (RFC 9002 §6.1.2)", () => {
  const f = confirmed();
  f.send(0, 0);
  f.send(1, 8);
  // One sample of 80 ms: the loss delay is 90 ms, counted from when packet 0 was sent.
  strictEqual(f.ack([[1, 1]], 88).lostCount, 0);
  strictEqual(f.loss.timeoutAt(), 90);
  strictEqual(f.loss.onTimeout(89.9).lostCount, 0);
  strictEqual(f.loss.timeoutAt(), 90);
  const outcome = f.loss.onTimeout(90);
  deepStrictEqual(numbers(outcome.lost, outcome.lostCount), [0]);
  strictEqual(outcome.probeSpace, undefined);
  strictEqual(f.loss.timeoutAt(), undefined);
});

Deno.test("LossDetection waits at least the granularity before a loss by time (RFC 9002 §6.1.2)", () => {
  const f = confirmed();
  f.send(0, 10);
  f.send(1, 10);
  strictEqual(f.ack([[1, 1]], 10.1).lostCount, 0);
  strictEqual(f.loss.timeoutAt(), 11);
});

Deno.test("LossDetection ignores an acknowledgement of a packet that was lost already", () => {
  const f = confirmed();
  for (let n = 0; n < 4; n++) f.send(n, 0);
  strictEqual(f.ack([[3, 3]], 100).lostCount, 1);
  const late = f.ack([[3, 0]], 101);
  deepStrictEqual(numbers(late.acked, late.ackedCount), [1, 2]);
});

Deno.test("LossDetection refuses an acknowledgement of what was never sent (RFC 9000 §13.1)", () => {
  const f = confirmed();
  f.send(0, 0);
  throws(() => f.ack([[1, 0]], 10), (error) => error instanceof TransportError && error.code === 0x0a);
  const skipping = confirmed();
  skipping.send(0, 0);
  skipping.send(2, 0);
  throws(
    () => skipping.ack([[2, 0]], 10),
    (error) => error instanceof TransportError && error.code === 0x0a && error.frameType === 0x02,
  );
  const honest = confirmed();
  honest.send(0, 0);
  honest.send(2, 0);
  strictEqual(honest.ack([[2, 2], [0, 0]], 10).ackedCount, 2);
});

Deno.test("LossDetection samples the RTT only from the largest acknowledged packet, if ack-eliciting (RFC 9002 §5.1)", () => {
  const f = confirmed();
  f.send(0, 0);
  f.send(1, 5, { isAckEliciting: false });
  f.send(2, 10);
  f.ack([[0, 0]], 100);
  strictEqual(f.rtt.latestMs, 100);
  f.ack([[2, 0]], 160, { ackDelayMs: 40 });
  strictEqual(f.rtt.latestMs, 150);
  // max_ack_delay is 25 ms, and the handshake is confirmed: RFC 9002 §5.3.
  strictEqual(f.rtt.smoothedMs, 0.875 * 100 + 0.125 * 125);
  f.send(3, 200, { isAckEliciting: false });
  f.ack([[3, 3]], 201);
  strictEqual(f.rtt.latestMs, 150);
});

Deno.test("LossDetection ignores the ACK Delay of Initial packets, and limits none before confirmation (RFC 9002 §5.3)", () => {
  const f = new Fixture();
  f.send(0, 0, { space: "Initial" });
  f.send(1, 0, { space: "Initial" });
  f.ack([[0, 0]], 100, { space: "Initial" });
  f.ack([[1, 0]], 140, { space: "Initial", ackDelayMs: 40 });
  strictEqual(f.rtt.smoothedMs, 105);
  f.send(0, 200, { space: "Handshake" });
  f.ack([[0, 0]], 345, { space: "Handshake", ackDelayMs: 40 });
  strictEqual(f.rtt.smoothedMs, 105);
});

Deno.test("LossDetection probes after the probe timeout, and doubles it (RFC 9002 §6.2.1)", () => {
  const f = confirmed();
  f.send(0, 0);
  f.ack([[0, 0]], 100);
  // smoothed 100, rttvar 50: 100 + 200 + max_ack_delay 25.
  strictEqual(f.loss.ptoMs, 325);
  f.send(1, 1000);
  strictEqual(f.loss.timeoutAt(), 1325);
  strictEqual(f.loss.onTimeout(1324).probeSpace, undefined);
  const probe = f.loss.onTimeout(1325);
  strictEqual(probe.probeSpace, "Application");
  strictEqual(probe.probePackets, 2);
  strictEqual(probe.lostCount, 0);
  strictEqual(f.loss.ptoCount, 1);
  f.send(2, 1325);
  f.send(3, 1325);
  strictEqual(f.loss.timeoutAt(), 1325 + 650);
  f.loss.onTimeout(1975);
  f.send(4, 1975);
  strictEqual(f.loss.timeoutAt(), 1975 + 1300);
  // An acknowledgement ends the backoff.
  f.ack([[4, 4]], 2075);
  strictEqual(f.loss.ptoCount, 0);
});

Deno.test("LossDetection has no probe timeout for application data before the handshake is confirmed (RFC 9002 §6.2.1)", () => {
  const f = new Fixture("server");
  f.send(0, 0);
  strictEqual(f.loss.timeoutAt(), undefined);
  f.send(0, 5, { space: "Handshake" });
  strictEqual(f.loss.timeoutAt(), 1004);
  f.loss.onHandshakeConfirmed(10);
  strictEqual(f.loss.timeoutAt(), 1004);
  f.loss.discard("Handshake", 11);
  strictEqual(f.loss.timeoutAt(), 999 + 25);
});

Deno.test("LossDetection of a client probes even with nothing in flight, until its address is validated (RFC 9002 §6.2.2.1)", () => {
  const f = new Fixture("client");
  strictEqual(f.loss.timeoutAt(), undefined);
  f.send(0, 0, { space: "Initial" });
  strictEqual(f.loss.timeoutAt(), 999);
  f.ack([[0, 0]], 100, { space: "Initial" });
  // smoothed 100, rttvar 50, from when the acknowledgement came.
  strictEqual(f.loss.timeoutAt(), 400);
  const initial = f.loss.onTimeout(400);
  strictEqual(initial.probeSpace, "Initial");
  strictEqual(initial.probePackets, 1);
  // The server's acknowledgement does not prove that it has validated us: the backoff stays.
  f.send(1, 400, { space: "Initial" });
  f.ack([[1, 0]], 500, { space: "Initial" });
  strictEqual(f.loss.ptoCount, 1);
  f.loss.onHandshakeKeys();
  strictEqual(f.loss.onTimeout(f.loss.timeoutAt()!).probeSpace, "Handshake");
  f.send(0, 2000, { space: "Handshake" });
  f.ack([[0, 0]], 2100, { space: "Handshake" });
  strictEqual(f.loss.ptoCount, 0);
  strictEqual(f.loss.timeoutAt(), undefined);
});

Deno.test("LossDetection of a client probes for its Handshake packets while unconfirmed application data fills the window", () => {
  const f = new Fixture("client");
  f.send(0, 0, { space: "Initial" });
  f.loss.onHandshakeKeys();
  f.ack([[0, 0]], 100, { space: "Initial" });
  f.loss.discard("Initial", 100);
  for (let n = 0; n < 4; n++) f.send(n, 100, { space: "Handshake" });
  f.send(0, 100);
  // The last is acknowledged, and the others are lost: what they said has to be said again, if there is room.
  f.ack([[3, 3]], 200, { space: "Handshake" });
  f.loss.onTimeout(f.loss.timeoutAt()!);
  // Two samples of 100 ms: 100 + 4 * 37.5.
  strictEqual(f.loss.timeoutAt(), 450);
  strictEqual(f.loss.onTimeout(450).probeSpace, "Handshake");
  f.loss.onHandshakeConfirmed(460);
  strictEqual(f.loss.timeoutAt(), 100 + 2 * (250 + 25));
});

Deno.test("LossDetection of a server that may not send has no probe timeout (RFC 9002 §6.2.2.1)", () => {
  const f = new Fixture("server");
  f.send(0, 0, { space: "Initial" });
  f.loss.setAmplificationLimited(true);
  strictEqual(f.loss.timeoutAt(), undefined);
  f.loss.setAmplificationLimited(false);
  strictEqual(f.loss.timeoutAt(), 999);
});

Deno.test("LossDetection probes the space whose timeout comes first (RFC 9002 §6.2.1)", () => {
  const f = new Fixture("server");
  f.send(0, 10, { space: "Initial" });
  f.send(0, 0, { space: "Handshake" });
  strictEqual(f.loss.timeoutAt(), 999);
  strictEqual(f.loss.onTimeout(999).probeSpace, "Handshake");
});

Deno.test("LossDetection forgets a discarded space, and says what was in flight (RFC 9002 §6.4)", () => {
  const f = new Fixture("server");
  f.send(0, 0, { space: "Initial" });
  f.send(1, 0, { space: "Initial" });
  f.send(2, 0, { space: "Initial", isAckEliciting: false });
  f.send(3, 0, { space: "Initial", pathId: 7 });
  strictEqual(f.loss.discard("Initial", 5), 2400);
  strictEqual(f.loss.hasAckElicitingInFlight, false);
  strictEqual(f.loss.timeoutAt(), undefined);
});

Deno.test("LossDetection of a client starts over at Retry, and numbers go on (RFC 9002 §6.3)", () => {
  const f = new Fixture("client");
  f.send(0, 0, { space: "Initial" });
  strictEqual(f.loss.onRetry(40), 1200);
  throws(() => f.send(0, 41, { space: "Initial" }), RangeError);
  const g = new Fixture("client");
  g.send(0, 0, { space: "Initial" });
  g.loss.onRetry(40);
  g.send(1, 41, { space: "Initial" });
  strictEqual(g.loss.timeoutAt(), 41 + 999);
});

Deno.test("LossDetection finds persistent congestion in a run of lost packets (RFC 9002 §7.6.3)", () => {
  const f = confirmed();
  f.send(0, 0);
  f.ack([[0, 0]], 100);
  // The acknowledgement is a second sample of 100 ms: 3 * (100 + 4 * 37.5 + 25) = 825 ms.
  for (let n = 1; n <= 5; n++) f.send(n, 1000 + 207 * (n - 1));
  f.send(6, 2500);
  const outcome = f.ack([[6, 6]], 2600);
  deepStrictEqual(numbers(outcome.lost, outcome.lostCount), [1, 2, 3, 4, 5]);
  strictEqual(outcome.isPersistentCongestion, true);
});

Deno.test("LossDetection finds no persistent congestion in a shorter run, or one broken by an acknowledgement (RFC 9002 §7.6.2)", () => {
  const short = confirmed();
  short.send(0, 0);
  short.ack([[0, 0]], 100);
  for (let n = 1; n <= 5; n++) short.send(n, 1000 + 206 * (n - 1));
  short.send(6, 2500);
  strictEqual(short.ack([[6, 6]], 2600).isPersistentCongestion, false);

  const broken = confirmed();
  broken.send(0, 0);
  broken.ack([[0, 0]], 100);
  for (let n = 1; n <= 5; n++) broken.send(n, 1000 + 207 * (n - 1));
  broken.send(6, 2500);
  const outcome = broken.ack([[6, 6], [3, 3]], 2600);
  deepStrictEqual(numbers(outcome.lost, outcome.lostCount), [1, 2, 4, 5]);
  strictEqual(outcome.isPersistentCongestion, false);
});

Deno.test("LossDetection counts towards persistent congestion only what was sent after the first RTT sample (RFC 9002 §7.6.2)", () => {
  const f = confirmed();
  for (let n = 0; n < 5; n++) f.send(n, 1000 * n);
  f.send(5, 10_000);
  const outcome = f.ack([[5, 5]], 10_100);
  strictEqual(outcome.lostCount, 5);
  strictEqual(outcome.isPersistentCongestion, false);
});

Deno.test("LossDetection takes no RTT sample from another path (RFC 9000 §9.4)", () => {
  const f = confirmed();
  f.send(0, 0);
  f.loss.onPathChanged(1, 0);
  f.send(1, 50, { pathId: 1 });
  strictEqual(f.ack([[0, 0]], 100).ackedCount, 1);
  strictEqual(f.rtt.firstSampleAt, undefined);
  f.ack([[1, 0]], 120);
  strictEqual(f.rtt.latestMs, 70);
});

Deno.test("LossDetection does not take packets of a path that was left for lost because a faster one overtakes them (RFC 9000 §9.4)", () => {
  const f = confirmed();
  f.send(0, 0);
  f.ack([[0, 0]], 200);
  for (let n = 1; n <= 4; n++) f.send(n, 200);
  f.rtt.reset(100);
  f.loss.onPathChanged(1, 210);
  for (let n = 5; n <= 9; n++) f.send(n, 210, { pathId: 1 });
  // Five newer ones have arrived, and 9/8 of the new round trip have passed.
  strictEqual(f.ack([[9, 5]], 340).lostCount, 0);
  // Those of the same path count: three newer ones for the first, 9/8 of 200 ms for the second.
  const outcome = f.ack([[9, 3]], 400);
  deepStrictEqual(numbers(outcome.lost, outcome.lostCount), [1]);
  strictEqual(f.loss.timeoutAt(), 200 + 225);
  const late = f.loss.onTimeout(425);
  deepStrictEqual(numbers(late.lost, late.lostCount), [2]);
});

Deno.test("LossDetection does not take packets for lost because a probe elsewhere overtakes them (RFC 9000 §9.4)", () => {
  const f = confirmed();
  f.send(0, 0);
  f.ack([[0, 0]], 200);
  for (let n = 1; n <= 4; n++) f.send(n, 200);
  f.send(5, 200, { pathId: -1 });
  // Larger by three and more, and on a faster way.
  strictEqual(f.ack([[5, 5]], 300).lostCount, 0);
  // One that went the same way tells.
  const outcome = f.ack([[5, 4]], 400);
  deepStrictEqual(numbers(outcome.lost, outcome.lostCount), [1]);
  // What never comes is lost in time.
  const late = f.loss.onTimeout(f.loss.timeoutAt() ?? 0);
  deepStrictEqual([f.loss.timeoutAt(), numbers(late.lost, late.lostCount)], [undefined, [2, 3]]);
});

Deno.test("LossDetection terminates at every timeout: each one moves the next, or empties it", () => {
  const f = confirmed();
  // Awkward fractions: sentAt + delay must not round to just before itself.
  f.send(0, 0.1);
  f.send(1, 0.7);
  f.ack([[1, 1]], 33.43);
  let last = -Infinity;
  for (let i = 0; i < 10; i++) {
    const at = f.loss.timeoutAt();
    if (at === undefined) break;
    strictEqual(at > last, true);
    last = at;
    f.loss.onTimeout(at);
  }
  strictEqual(f.loss.timeoutAt(), undefined);
});
