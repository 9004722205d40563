// Malformed HTTP requests, made from a number: the same number makes the same request for ever.
import type { RawRequest } from "./pipe.ts";

const methods = ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "P@ST", "CONNECT", "PURGE", "", "GET GET"];
const names = [
  "order",
  "stock",
  "order-summary",
  "availability",
  "ordr",
  "__proto__",
  "constructor",
  "toString",
  "%00",
  "..",
  ".",
  "",
  "%2e%2e",
  "%zz",
  "%E0%A4%A",
  "ä",
  "a b",
  "%F0%9F%8D%B5",
  "*",
  "{entity}",
];
// Not those which the service itself gets wrong on purpose (explode), or by a schema that lets everything pass (cancel).
const commands = ["place", "amend", "touch", "valueOf", "place%2F", "", "explode%00", "reserve"];
const queries = [
  "version=-1",
  "version=1e9",
  "at=yesterday",
  "at=9999-99-99T99:99:99Z",
  "limit=0",
  "limit=99999999999999999999",
  "cursor=%00",
  "cursor=W10",
  "orderBy=__proto__",
  "order=sideways",
  "customer.from=1&customer.to=",
  "customer=%",
  "a=1&a=2",
  "limit=1&limit=2",
  "=&=&",
  "%ff=%ff",
  "total.from=%7B%7D",
  "after=NaN",
  "note=%22",
  "constructor=1",
];
const headerNames = [
  "Idempotency-Key",
  "If-Match",
  "If-None-Match",
  "Consistency-Token",
  "Prefer",
  "Cache-Control",
  "Content-Type",
  "Content-Encoding",
  "traceparent",
  "Authorization",
  "Origin",
  "Accept",
  "Convergent-Actor",
  "Expect",
  "Transfer-Encoding",
  "Content-Length",
  "Connection",
  "Cookie",
  "X-Forwarded-For",
  "Range",
  "Upgrade",
  "__proto__",
  "Sec-Fetch-Site",
];
const headerValues = [
  "",
  "*",
  '"',
  '"x"',
  "W/",
  "none",
  "-1",
  "NaN",
  "1e999",
  "gzip",
  "chunked",
  "chunked, chunked",
  "identity",
  "wait=-1",
  "wait=1e9, handling=x",
  "wait=0",
  "max-age=-1",
  "no-cache",
  "orders.x.y.z",
  "orders.AAAA.1.1.AAAA.AAAA",
  "a".repeat(300),
  "a".repeat(5000),
  "\u00ff\u00fe",
  "\t",
  "100-continue",
  "close",
  "keep-alive",
  "http://evil.example",
  "null",
  "multipart/form-data; boundary=",
  "text/xml",
  "application/json; charset=utf-7",
  "Bearer",
  "Bearer a.b.c",
  "websocket",
  "bytes=0-",
  "00-0-0-00",
  "k\u0000",
  "4",
  "0x10",
  "cross-site",
];

/** A source of numbers that repeats itself from its seed (mulberry32). */
export class Malformed {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  request(): RawRequest {
    const kind = this.#below(20);
    if (kind === 0) return { bytes: this.#noise(), complete: false };
    if (kind === 1) return this.#brokenChunks();
    if (kind === 2) return this.#cutOff();
    return this.#withBody();
  }

  // Well-formed enough to be read to its end.
  #withBody(): RawRequest {
    const method = this.#below(5) === 0 ? this.#pick(methods) : this.#pick(["GET", "POST", "POST"]);
    const body = this.#below(4) === 0 ? Buffer.alloc(0) : this.#body();
    const length = body.length > 0 || method === "POST" ? [`Content-Length: ${body.length}`] : [];
    const head = this.#head(method, length);
    return { bytes: Buffer.concat([Buffer.from(head, "latin1"), body]), complete: this.#isSound(head, method) };
  }

  // Whether what comes after this request on the same connection is read as a request of its own.
  #isSound(head: string, method: string): boolean {
    return (
      /^[A-Z]+ \/[\u0021-\u007e]* HTTP\/1\.1\r\n/.test(head) &&
      methods.slice(0, 8).includes(method) &&
      !/transfer-encoding|expect|upgrade|connection|content-length[^]*content-length/i.test(head)
    );
  }

  #brokenChunks(): RawRequest {
    const chunks = [
      `${this.#pick(["5", "zz", "-1", "FFFFFFFFFFFFFFFFF", "5;x=\u0001", "", "0"])}\r\n{"a":\r\n`,
      this.#pick(["0\r\n\r\n", "", "1\r\n", "x", "0\r\n"]),
    ];
    return { bytes: Buffer.from(this.#head("POST", ["Transfer-Encoding: chunked"]) + chunks.join(""), "latin1"), complete: false };
  }

  #cutOff(): RawRequest {
    const { bytes } = this.#withBody();
    return { bytes: bytes.subarray(0, this.#below(bytes.length)), complete: false };
  }

  #head(method: string, headers: readonly string[]): string {
    const given = [...headers];
    for (let left = this.#below(4); left > 0; left--) given.push(`${this.#pick(headerNames)}: ${this.#pick(headerValues)}`);
    const host =
      this.#below(15) === 0
        ? this.#pick(["", "Host: evil.example\r\n", "Host: a b\r\n", "Host: localhost\r\nHost: localhost\r\n"])
        : "Host: localhost\r\n";
    const version = this.#below(30) === 0 ? this.#pick(["HTTP/1.0", "HTTP/9.9", "HTTP", ""]) : "HTTP/1.1";
    return `${method} ${this.#path()} ${version}\r\n${host}${given.map((header) => `${header}\r\n`).join("")}\r\n`;
  }

  #path(): string {
    const id = this.#below(3) === 0 ? this.#pick(names) : `o-${this.#below(50)}`;
    const path = this.#pick([
      () => `/entities/order/${id}/${this.#pick(commands)}`,
      () => `/entities/${this.#pick(names)}/${id}/${this.#pick(commands)}`,
      () => `/entities/${this.#pick(names)}/${id}`,
      () => `/entities/order/${id}/events`,
      () => `/views/${this.#pick(names)}/${id}`,
      () => `/views/${this.#pick(names)}`,
      () =>
        this.#pick([
          "/definition",
          "/readers",
          "/healthz",
          "/readyz",
          "/metrics",
          "/openapi.json",
          "/",
          "//",
          "/%",
          "*",
          "http://localhost/healthz",
          "/../../etc/passwd",
          "\\",
          `/${"a".repeat(9000)}`,
        ]),
    ])();
    return this.#below(3) === 0 ? `${path}?${Array.from({ length: 1 + this.#below(3) }, () => this.#pick(queries)).join("&")}` : path;
  }

  #body(): Buffer {
    return this.#pick<() => Buffer>([
      () =>
        Buffer.from(
          this.#pick([
            "{",
            "[",
            '"',
            "nul",
            "undefined",
            "{'a':1}",
            '{"a":1}}',
            "\u0000",
            "{}x",
            "[1,]",
            '{"a"',
            "<xml/>",
            "a=1&b=2",
            " ",
            "\ufeff{}",
            "1e999",
            '{"a":1e999}',
            "-",
            "NaN",
          ]),
        ),
      () => Buffer.from("[".repeat(this.#below(20_000))),
      () => Buffer.from(`{"a":${"[".repeat(20)}${"]".repeat(20)},"customer":${this.#value(0)},"lines":${this.#value(0)}}`),
      () => Buffer.from(this.#value(0)),
      () =>
        Buffer.from(
          JSON.stringify({ customer: "ada", lines: [{ product: "tea", quantity: this.#below(9) - 4, price: 1 }] }).slice(
            0,
            this.#below(90),
          ),
        ),
      () => Buffer.from(JSON.stringify({ customer: "ada", lines: [{ product: "tea", quantity: 1, price: 1 }] })),
      () => this.#noise(),
      () => Buffer.from('{"__proto__":{"x":1},"constructor":{"prototype":{}},"lines":[]}'),
      () => Buffer.from(`{${Array.from({ length: 1200 }, (_, index) => `"k${index}":1`).join(",")}}`),
      () => (this.#below(10) === 0 ? Buffer.alloc(1_000_001, 0x20) : Buffer.from('{"reason":{}}')),
    ])();
  }

  #value(depth: number): string {
    if (depth > 6) return "0";
    return this.#pick<() => string>([
      () => "null",
      () => String(this.#below(2 ** 31) - 2 ** 30),
      () => `"${this.#pick(["", "\\u0000", "\\ud800", "x".repeat(2000), "\\n", "ä"])}"`,
      () => `[${Array.from({ length: this.#below(4) }, () => this.#value(depth + 1)).join(",")}]`,
      () =>
        `{${Array.from({ length: this.#below(4) }, () => `"${this.#pick(["customer", "lines", "product", "quantity", "__proto__", ""])}":${this.#value(depth + 1)}`).join(",")}}`,
    ])();
  }

  #noise(): Buffer {
    return Buffer.from(Array.from({ length: 1 + this.#below(400) }, () => this.#below(256)));
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[this.#below(items.length)] as Item;
  }

  #below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }
}
