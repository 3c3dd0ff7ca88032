import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { randomUnit } from "../../../protocols/core/random.ts";
import { SendCredit } from "../../../protocols/quic/flow_control.ts";
import {
  MAX_BUFFERED_BYTES,
  MAX_UNSENT_BYTES,
  SendStream,
  type StreamRange,
} from "../../../protocols/quic/send_stream.ts";
import { seededRandom } from "../../support/seeded_random.ts";

interface Sent extends StreamRange {
  data: Uint8Array;
}

class Fixture {
  readonly stream = new SendStream();
  readonly credit = new SendCredit();

  constructor(streamCredit = 1e9, connectionCredit = 1e9) {
    this.stream.credit.raise(streamCredit);
    this.credit.raise(connectionCredit);
  }

  send(maxBytes = 1000): Sent | undefined {
    const range: StreamRange = { offset: -1, length: -1, fin: false };
    if (!this.stream.select(maxBytes, this.credit, range)) return undefined;
    const target = new Uint8Array(range.length + 10);
    this.stream.fill(range, this.credit, target, 5);
    return { ...range, data: target.slice(5, 5 + range.length) };
  }

  ack(sent: Sent): void {
    this.stream.onAcked(sent.offset, sent.length, sent.fin);
  }

  lose(sent: Sent): void {
    this.stream.onLost(sent.offset, sent.length, sent.fin);
  }
}

function bytesFrom(start: number, length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (start + i) & 0xff);
}

Deno.test("SendStream goes from Ready over Send and DataSent to DataRecvd (RFC 9000 §3.1)", () => {
  const f = new Fixture();
  strictEqual(f.stream.state, "Ready");
  strictEqual(f.send(), undefined);
  strictEqual(f.stream.write(bytesFrom(0, 1500)), 1500);
  const first = f.send()!;
  deepStrictEqual([first.offset, first.length, first.fin], [0, 1000, false]);
  strictEqual(f.stream.state, "Send");
  f.stream.finish();
  const second = f.send()!;
  deepStrictEqual([second.offset, second.length, second.fin], [1000, 500, true]);
  deepStrictEqual(second.data, bytesFrom(1000, 500));
  strictEqual(f.stream.state, "DataSent");
  strictEqual(f.send(), undefined);
  f.ack(second);
  strictEqual(f.stream.state, "DataSent");
  f.ack(first);
  strictEqual(f.stream.state, "DataRecvd");
  strictEqual(f.stream.isTerminal, true);
  strictEqual(f.stream.bufferedBytes, 0);
});

Deno.test("SendStream sends a FIN alone if it comes after the data, and for no data at all", () => {
  const f = new Fixture();
  f.stream.write(bytesFrom(0, 10));
  const data = f.send()!;
  strictEqual(f.stream.hasRepair, false);
  f.stream.finish();
  strictEqual(f.stream.hasRepair, true);
  const fin = f.send()!;
  deepStrictEqual([fin.offset, fin.length, fin.fin], [10, 0, true]);
  strictEqual(f.send(), undefined);
  f.ack(data);
  f.ack(fin);
  strictEqual(f.stream.state, "DataRecvd");

  const empty = new Fixture(0, 0);
  empty.stream.finish();
  const only = empty.send(0)!;
  deepStrictEqual([only.offset, only.length, only.fin], [0, 0, true]);
  empty.ack(only);
  strictEqual(empty.stream.state, "DataRecvd");
});

Deno.test("SendStream spends the credit of stream and connection on new data only (RFC 9000 §4.1)", () => {
  const f = new Fixture(1500, 1200);
  f.stream.write(bytesFrom(0, 3000));
  const first = f.send()!;
  const second = f.send()!;
  deepStrictEqual([second.offset, second.length], [1000, 200]);
  strictEqual(f.send(), undefined);
  f.credit.raise(5000);
  const third = f.send()!;
  deepStrictEqual([third.offset, third.length], [1200, 300]);
  strictEqual(f.send(), undefined);
  f.lose(first);
  const again = f.send()!;
  deepStrictEqual([again.offset, again.length], [0, 1000]);
  deepStrictEqual(again.data, bytesFrom(0, 1000));
  strictEqual(f.credit.used, 1500);
  strictEqual(f.stream.credit.used, 1500);
});

Deno.test("SendStream sends what was lost first, lowest offset first, and merges neighbours (RFC 9000 §13.3)", () => {
  const f = new Fixture();
  f.stream.write(bytesFrom(0, 5000));
  const sent = [f.send(500)!, f.send(500)!, f.send(500)!, f.send(500)!];
  f.lose(sent[2]!);
  f.lose(sent[0]!);
  f.lose(sent[1]!);
  const again = f.send(1200)!;
  deepStrictEqual([again.offset, again.length], [0, 1200]);
  const rest = f.send(1200)!;
  deepStrictEqual([rest.offset, rest.length], [1200, 300]);
  deepStrictEqual(rest.data, bytesFrom(1200, 300));
  strictEqual(f.send(1200)!.offset, 2000);
});

Deno.test("SendStream does not send again what another packet brought", () => {
  const f = new Fixture();
  f.stream.write(bytesFrom(0, 3000));
  const a = f.send()!;
  strictEqual(f.stream.probe(600), true);
  const probe = f.send()!;
  deepStrictEqual([probe.offset, probe.length], [0, 600]);
  f.ack(probe);
  f.lose(a);
  const again = f.send()!;
  deepStrictEqual([again.offset, again.length], [600, 400]);
  f.lose(again);
  f.ack(a); // An acknowledgement after all.
  strictEqual(f.send()!.offset, 1000);
});

Deno.test("SendStream sends a lost FIN again", () => {
  const f = new Fixture();
  f.stream.write(bytesFrom(0, 10));
  f.stream.finish();
  const sent = f.send()!;
  strictEqual(sent.fin, true);
  f.lose(sent);
  const again = f.send()!;
  deepStrictEqual([again.offset, again.length, again.fin], [0, 10, true]);
  f.lose(again);
  f.stream.onAcked(0, 10, false);
  const fin = f.send()!;
  deepStrictEqual([fin.offset, fin.length, fin.fin], [10, 0, true]);
  f.ack(fin);
  strictEqual(f.stream.state, "DataRecvd");
});

Deno.test("SendStream has a probe of its oldest data or its FIN, while anything is unacknowledged (RFC 9002 §6.2.4)", () => {
  const f = new Fixture();
  strictEqual(f.stream.probe(1000), false);
  f.stream.write(bytesFrom(0, 100));
  const data = f.send()!;
  strictEqual(f.stream.probe(1000), true);
  strictEqual(f.send()!.offset, 0);
  f.ack(data);
  strictEqual(f.stream.probe(1000), false);
  f.stream.finish();
  f.send();
  strictEqual(f.stream.probe(1000), true);
  const fin = f.send()!;
  strictEqual(fin.fin, true);
  f.ack(fin);
  strictEqual(f.stream.probe(1000), false);
});

Deno.test("SendStream takes no more than may wait, and says once that there is room again", () => {
  const f = new Fixture();
  const big = new Uint8Array(MAX_UNSENT_BYTES + 1000);
  strictEqual(f.stream.write(big), MAX_UNSENT_BYTES);
  strictEqual(f.stream.write(big), 0);
  strictEqual(f.stream.takeWritable(), false);
  let sentBytes = 0;
  for (let i = 0; i < 1000 && !f.stream.takeWritable(); i++) sentBytes += f.send()!.length;
  strictEqual(sentBytes, 132_000); // The first packet beyond half of it.
  strictEqual(f.stream.takeWritable(), false);
  strictEqual(f.stream.roomBytes, 132_000);
});

Deno.test("SendStream bounds what is kept for retransmission", () => {
  const f = new Fixture();
  const chunk = new Uint8Array(MAX_UNSENT_BYTES);
  let written = 0;
  const first = { offset: 0, length: 1000, fin: false };
  for (let i = 0; i < 100; i++) {
    const taken = f.stream.give(chunk);
    written += taken;
    if (taken === 0) break;
    for (let n = 0; n < 1000 && f.send(60_000) !== undefined; n++);
  }
  strictEqual(written, MAX_BUFFERED_BYTES);
  f.stream.onAcked(0, MAX_BUFFERED_BYTES, false);
  strictEqual(f.stream.bufferedBytes, 0);
  strictEqual(f.stream.takeWritable(), true);
  f.stream.onAcked(first.offset, first.length, false);
  strictEqual(f.stream.give(chunk), MAX_UNSENT_BYTES);
});

Deno.test("SendStream copies what is written and keeps what is given", () => {
  const f = new Fixture();
  const data = bytesFrom(0, 10);
  f.stream.write(data);
  data.fill(0xff);
  f.stream.give(bytesFrom(10, 10));
  f.stream.write(bytesFrom(20, 10));
  f.stream.write(bytesFrom(30, 10));
  deepStrictEqual(f.send()!.data, bytesFrom(0, 40));
});

Deno.test("SendStream that is reset says its final size, and ends when that is acknowledged (RFC 9000 §3.1, §4.5)", () => {
  const f = new Fixture();
  f.stream.write(bytesFrom(0, 3000));
  const sent = f.send()!;
  strictEqual(f.stream.reset(9), true);
  strictEqual(f.stream.reset(10), false);
  strictEqual(f.stream.state, "ResetSent");
  strictEqual(f.stream.resetCode, 9);
  strictEqual(f.stream.sentOffset, 1000);
  strictEqual(f.stream.isResetPending, true);
  f.stream.onResetSent();
  f.lose(sent);
  strictEqual(f.send(), undefined);
  strictEqual(f.stream.write(bytesFrom(0, 1)), 0);
  f.stream.onResetLost();
  strictEqual(f.stream.isResetPending, true);
  f.ack(sent);
  strictEqual(f.stream.state, "ResetSent");
  f.stream.onResetAcked();
  strictEqual(f.stream.state, "ResetRecvd");
  strictEqual(f.stream.isResetPending, false);
  strictEqual(f.stream.bufferedBytes, 0);
});

Deno.test("SendStream cannot be written to once finished", () => {
  const f = new Fixture();
  f.stream.finish();
  throws(() => f.stream.write(bytesFrom(0, 1)), TypeError);
  f.stream.finish();
  strictEqual(f.stream.roomBytes, 0);
});

Deno.test("SendStream brings every byte once and in order through random loss, duplication and probes", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const total = 20_000;
    const f = new Fixture(0, 0);
    const received = new Uint8Array(total);
    const has = new Uint8Array(total);
    let finReceived = false;
    let written = 0;
    const flying: Sent[] = [];
    let step = 0;
    for (; step < 50_000 && f.stream.state !== "DataRecvd"; step++) {
      const kind = randomUnit(random);
      if (kind < 0.25 && written < total) {
        const length = Math.min(total - written, Math.floor(randomUnit(random) * 700));
        const part = bytesFrom(written * 3, length).map((_, i) => ((written + i) * 7) & 0xff);
        const taken = randomUnit(random) < 0.5 ? f.stream.write(part) : f.stream.give(part);
        strictEqual(taken, length);
        written += taken;
        if (written === total) f.stream.finish();
      } else if (kind < 0.6) {
        const sent = f.send(1 + Math.floor(randomUnit(random) * 500));
        if (sent !== undefined) {
          flying.push(sent);
          if (randomUnit(random) > 0.3) {
            received.set(sent.data, sent.offset);
            has.fill(1, sent.offset, sent.offset + sent.length);
            if (sent.fin) {
              finReceived = true;
              strictEqual(sent.offset + sent.length, total, `seed ${seed}`);
            }
            if (randomUnit(random) < 0.9) Object.assign(sent, { isReceived: true });
          }
        }
      } else if (kind < 0.65) {
        f.stream.probe(300);
      } else if (kind < 0.7) {
        f.stream.credit.raise(f.stream.credit.maximum + Math.floor(randomUnit(random) * 900));
        f.credit.raise(f.credit.maximum + Math.floor(randomUnit(random) * 900));
      } else if (flying.length > 0) {
        const [sent] = flying.splice(Math.floor(randomUnit(random) * flying.length), 1);
        if (sent !== undefined && "isReceived" in sent) f.ack(sent);
        else if (sent !== undefined) f.lose(sent);
      }
    }
    strictEqual(f.stream.state, "DataRecvd", `seed ${seed} after ${step} steps`);
    strictEqual(finReceived, true);
    strictEqual(has.indexOf(0), -1, `seed ${seed}`);
    for (let i = 0; i < total; i++) if (received[i] !== ((i * 7) & 0xff)) throw new Error(`seed ${seed}: byte ${i}`);
    strictEqual(f.credit.used, total);
  }
});
