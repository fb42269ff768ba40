/** Pages out of Zstandard frames: the level 19 frame below was made by zstd 1.5 from `text`. */

import { expect, test } from 'vitest'
import { ZstdError, zstdDecompress } from '../../../src/vmcore/zstd.ts'

const SIZE = 4096
const text = Array.from({ length: 1000 }, (_, i) => `${i}: ${(i * i) % 97}\n`)
  .join('')
  .slice(0, SIZE)
const FRAME = Buffer.from(
  `
KLUv/WAADzU0AHp5XA4JsD2wSe2X8ezo2QDgAOUAVyKfrpH+XId8uVL6cYXy4Yp+Wst8tJ74Z0X0zUrll1XEJ2uiP9YwX6w1flgj
fLAa+lk187GK5F9Vxrcqhl9V86k6ValGFapJnfORWucfNc83aqFf1EmfqOYPFcMXqowfVCQfqGZ+Tg19nEb4N63xbRrm1zTRp6mI
P1MqX6aIfkxPfJiW+SlFH6VQ/kkpfZMO+SWN9ElK5I/U0hfplB9SCR+kcH5GZ3yMVvoXFfMtGuNXVHyKyvkTPfIlSuJHdHyIBvpZ
Mh+b5F9tfGuJX7XwqelPyZeGHwUfAg1/Mkq+ZDT9SMhExEDDwuj4hIMYGMXEO7s6ujm5OLg0tLColZGNhYWBZWFFWVVRTUlFFFTi
WZ1PFM3zh4Kik35Q1HygKIafE5XxccJ8m6iFTxOt8Wdiool+TFTEh4lS+Yk+Ski0zDeJol8ShfJJopT+SEg00g+JEvkgUUs/Izrl
Y0REISooJsKPgEhAiI5/Zn5BlMYfCIha+AFRiDxmwb9s+JYlv7LpU9bCn2yJL1kbP7JJPiQ20Efs+Icl8Q175BdWzies+ION8QUr
5ge20gfsjJ9XOB+vEv5dp3y7WvoVhHRkNEVEQ0IBNOfjTPP8m5nppF8+hT8zlfFlZkZQTkZKRkZkBGSKfsYUY2Ia6VdMTC39iemU
LzExhfMhBqZo4xcMTE98gelMAycxL7NSaCSl4EdKw4eU+hj+oWGh4KCgdPxAQDn07+zq6Obk4uDE0M7MysgfEwsDk8K6sqqSmpKK
gkoSpLOiGTk/SJpHMtJJH/0L30Yq49eI+TNSCz9GWjMi0kQfRSrin0ipfEO/RERa5o9I0RcJkZJIYFxYVEhMSGd8CWmlVEx8BKmc
9EQ6PoE00B+QkvkC0iQ/QGojeFYZBZ8yAlWaGpmamvRRTkpKSCp8kZKSamJUVA8rqmVVrEJVKatD1cgqUdWyOlWVqMIVVCsLCioT
89IyKSclIykTz5AK1KAiFQmpJT4g1ebIjo46fh3dnPhxcGloZ2ZlZGNiYWBZVNSyqqKakoqCSiI6MioiGqEgoMQbmhoaGhmqUTGo
MmQU1BoSaiJVhEpFRfQzKKhl/gUVqZUU1EgqEdWSOkWVoMIRUMt8AvIFCKhHPgCVJPPSspIyJWcgnzgFH/3zzS+clviDU8PBKWHe
dHy8u7ny6ebk4uDS0M7MysjGxMamloV1ZVVFNSU1BZUBgZGoUUAumREREZEUpCQpDAdhDIFxlIOe2gEhUAH+FCGGNkftpWtEV8SC
aq5TmJ1M+HG1ExTiAkgo1nj01WrCIiX4N+ypq8PEuvHKLQOtibNMzDphZopmKwyeaCpTQJfLBqWlG1OFjcUY8Bhb4CQMygut+ZA4
j+iRWPbzKGnXKWWesS6l9Spe01VxRboatcpeWA/I7uEcXduO53adcpfmcN19Z2AoEKcjx6RQhi1hybv0WDaQNLLF1JOZJYK8S0UD
Pi2YXa1yN1eGMUd5diXZtcQihF2tSIvf2oka7nKQQIy3EChMbLcTJNm0btyhNlYzHWJTnnK2CTNTNFMYQMDbUKEVVvjwOrJ4ozAs
XsJiXH9GnEM/zP+WIxgQiWAEEEPWcqcYm2h2zrqK5lNew0rZC+sB2T2co2vb8dyuU+7SHK677wwMBeJ05JgUyrAlLHmXHssGkka2
mHoys0SQd1MZDVwa21r1ZvJhoUVlVU9sm4D3oO1wdt3pBAJyWNRf0ZuIbUVd/WwVJaiKbi0FKoyoqCwxBRFFgm7CwbG3QkAOM5ER
OgHCb3UlFFelO6BokInN3hwPRojDNPg5E2kiEQGtwbPoURrG4kGW57SrlHzCNYyUe2E9oN2Dc3btHQ+3Byj2Ehxyd+ZsXX1Vzbkp
towpgEM+SLvsWDKVDaSOzCyR5YVURoNLT7dVq7/N1fAPQEv2WKmJbRPgPbQdzrp+pV8nW6kxsfmLkrVRa64UoqQaIjU81BCnERxk
lJZ3SGG0whK+6iCyvnbJxIUMarzc+s9gXIb5s8pRBZfgQZbnlFVqdA5CDQF5XLh2K/j3hJyDa+6Y3LrT7XIc0p3tbI2A7wRyRgrN
MH7feVI6yXqTg+6dosqEhJXLpdhaWUQbwgW/JdXwHF5bw6xPpSEmWrBmpbdOegIof13GNpTaQCJgvF31qKqlql2pq96UWaoQUg0T
VQlyGaVrqCyIiKklFXb89BhKQiwKY6AgITwSgVUB`,
  'base64',
)
const MAGIC = [0x28, 0xb5, 0x2f, 0xfd]
/** A frame of one segment that says it holds 4096 bytes, with these blocks. */
const frame = (...blocks: number[]): Uint8Array => Uint8Array.from([...MAGIC, 0x60, 0x00, 0x0f, ...blocks])

test('a compressed block', () => {
  expect(Buffer.from(zstdDecompress(FRAME, SIZE)).toString()).toBe(text)
})

test('a raw block and a repeated byte', () => {
  expect(zstdDecompress(frame(0x01, 0x80, 0, ...Buffer.from(text)), SIZE)).toEqual(
    Uint8Array.from(Buffer.from(text)),
  )
  expect(zstdDecompress(frame(0x03, 0x80, 0, 7), SIZE)).toEqual(new Uint8Array(SIZE).fill(7))
})

test.each<[string, Uint8Array]>([
  ['nothing', new Uint8Array(0)],
  ['no frame', new Uint8Array(100)],
  ['a frame alone', frame()],
  ['a reserved block', frame(0x07, 0x80, 0)],
  ['a block that is not the last', frame(0x02, 0x80, 0, 7)],
  ['a repeated byte too few', frame(0xfb, 0x7f, 0, 7)],
  ['another size', Uint8Array.from([...MAGIC, 0x60, 0x01, 0x0f, 0x03, 0x80, 0, 7])],
  ['a compressed block of nothing', frame(0x05, 0, 0)],
  ['a compressed block that ends early', frame(0x25, 0, 0, 0x08, 7, 0)],
  ['a cut frame', FRAME.subarray(0, 200)],
])('%s is damaged', (_, bytes) => {
  expect(() => zstdDecompress(bytes, SIZE)).toThrow(ZstdError)
})

test('few bytes that ask for much work are refused', () => {
  // no literals, 98046 sequences whose codes are each one repeated value: 131074 bytes each
  const block = [0, 255, 0xff, 0xff, 0x54, 35, 30, 52, 0xff, 0xff, 0xff, 0xff]
  const bytes = frame((block.length << 3) | 5, 0, 0, ...block)
  const before = performance.now()
  expect(() => zstdDecompress(bytes, SIZE)).toThrow(ZstdError)
  expect(performance.now() - before).toBeLessThan(1000)
})

test('any damaged byte gives an error or a page, soon', () => {
  const before = performance.now()
  for (let at = 0; at < FRAME.length; at++) {
    const bytes = Uint8Array.from(FRAME)
    bytes[at] = (bytes[at] as number) ^ (1 + (at % 255))
    try {
      expect(zstdDecompress(bytes, SIZE)).toHaveLength(SIZE)
    } catch (error) {
      expect(error).toBeInstanceOf(ZstdError)
    }
  }
  expect(performance.now() - before).toBeLessThan(10_000)
})
