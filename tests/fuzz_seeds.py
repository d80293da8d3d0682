"""Where fuzzing begins: small valid inputs of each target, and pieces that parsers react to."""

import json
import pickle

_SRV3 = (
    b'<?xml version="1.0" encoding="utf-8" ?><timedtext format="3"><head><pen id="1"/></head><body>'
    b'<p t="1000" d="2000" w="1"><s ac="0">crack</s><s t="300"> eggs</s></p>'
    b'<p t="1500" d="9" w="1" a="1">\n</p></body></timedtext>'
)
_SRV1 = (
    b'<transcript><text start="1" dur="1.5">crack &amp;amp; mix</text>'
    b'<text start="2">now<br/>eat</text></transcript>'
)
_SRV2 = b'<timedtext><text t="1000" d="4000">crack two</text></timedtext>'
_TTML = (
    b'<tt xmlns="http://www.w3.org/ns/ttml" ttp:frameRate="25" ttp:tickRate="10"><body begin="1s"><div>'
    b'<p begin="00:00:01.500" end="00:00:03:12">crack <span begin="300ms">two</span><br/>eggs</p>'
    b'<p begin="5f" dur="9t">&nbsp;mix</p></div></body></tt>'
)
_ENTRIES = {
    "abc": {"start": [1.5, 4.0], "end": [4.0, 6.5], "text": ["crack eggs", "crack eggs\nwhisk"]},
    "d": {"start": [1], "end": [2], "text": [["a b", "c"]]},
    "e": [[1, 0.5, 2.0, "tea"], [0, 2.0, 3.0, "café"]],
}
_CUES = b"".join(bytes([i, 40, i % 23, 9, 3 + i]) + b"mix the e" for i in range(40))

SEEDS: dict[str, list[bytes]] = {
    "vtt": [
        b"WEBVTT\nKind: captions\n\nNOTE x\n\n1\n00:00:01.000 --> 00:00:04.000 align:start\n \n"
        b"as <b>a</b><00:00:01.300><c> man</c>\n\n00:00:04.000 --> 00:00:04.010\nas a man\n \n\n"
        b"00:04.010 --> 00:06.000\nas a man\nthinks<00:00:05.000><c> &amp; so</c>\n",
        b"\xef\xbb\xbfWEBVTT\r\n\r\n00:01.000 --> 00:02.000\r\n<v Ann>Mix [Music] it.\r\n",
    ],
    "srt": [
        b"1\n00:00:01,000 --> 00:00:02,000\n{\\an8}<i>crack</i>\n\n2\n00:00:02,000 --> 00:00:03,5\nit\ncr\xe8me\n",
        "1\n00:00:01,000 --> 00:00:02,000\nété\n".encode("utf-16"),
    ],
    "json3": [
        b'{"events": [{"tStartMs": 1000, "dDurationMs": 4000, "segs": [{"utf8": "crack"}, {"utf8": " two", '
        b'"tOffsetMs": 300}]}, {"tStartMs": 3000, "dDurationMs": 10, "aAppend": 1, "segs": [{"utf8": "\\n"}]}]}'
    ],
    "srv3": [_SRV3, _SRV2, _SRV1],
    "ttml": [_TTML],
    "xml": [_SRV3, _SRV1, _TTML],
    "json": [json.dumps(_ENTRIES).encode(), b'\xef\xbb\xbf{"a":{"start":[NaN],"end":[1e999],"text":["\\ud800"]}}'],
    "pickle": [pickle.dumps(_ENTRIES, protocol) for protocol in range(6)],
    "csv": [
        b'start,end,text\n1.5,4,crack eggs\n4,6,"mix, ""well""\nit"\n',
        b"text,x,end,start\r\na,,2,1\r\n",
        b"1,2,a\n",
    ],
    "htm_aa": [
        b'vid,timestamp,text\nabc,1.5,crack eggs\nabc,3,"mix, ""well""\nit"\nd,nan,tea\n',
        b"abc,1.5,crack\nabc,9,eggs\nd,1,x\n",
    ],
    "cues": [b"\x00\x09" + _CUES, b"\x03\x08" + _CUES, bytes(range(256))],
    "language": [b"\x00\x09" + _CUES],
    "growth": [
        b"\x00WEBVTT\n\n0:0 --> 0:9\n\x01egg<00:01.000>\x01\n",
        b"\x00WEBVTT\n\n\x010:0 --> 0:9\na\nb\n\n\x01",
        b"\x01\x011\n00:00:01,000 --> 00:00:02,000\na\n\n\x01",
        b'\x02{"events":[\x01{"tStartMs":1,"dDurationMs":9,"segs":[{"utf8":"a"}]},\x01{}]}',
        b'\x03<timedtext><p t="1">\x01<s t="1">a</s>\x01</p></timedtext>',
        b'\x04<tt><p begin="1s">\x01a<b begin="1s"/>\x01</p></tt>',
        b'\x05{"a":{"start":[\x011,\x011],"end":[2],"text":["a"]}}',
        b"\x06\x80\x04}(X\x01\0\0\0a]\x01h\x01e.",
        b"\x07\x011,2,a\n\x01",
        b"\x08\x01a,1,b\n\x01",
    ],
}

_TEXT = """
WEBVTT --> NOTE STYLE 00:00:01.000 00:00:02,000 <00:00:01.500> <c> </c> <v align:start {\\an8}
&amp; &#0; &#x85; &nbsp; &lt; [Music] (applause) Mr. ... nan inf 1_0 null true NaN Infinity 1e999 -1 1e15
"events" "segs" "utf8" "tStartMs" "dDurationMs" "tOffsetMs" "aAppend" \\ud800 \\u0000
<timedtext <transcript> <text <body> <p </p> <s </s> <br/> <tt <div <span t=" d=" start=" dur=" begin=" end="
frameRate=" tickRate=" frameRateMultiplier=" 1000:1001 12f 9t 1h 5ms
<!-- --> <![CDATA[ ]]> <!DOCTYPE <?xml encoding="utf-16" "start" "end" "text" start,end,text vid,timestamp,text
"""
_BYTES = [
    *(b"\n\n", b"\r\n", b"\0", b"\1", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\x8b"),
    *(b"\x80\x04", b"}(", b"X\1\0\0\0a", b"U\1a", b"\x8c\1a", b"G\x3f\xf0\0\0\0\0\0\0", b"K\1", b"]\x94", b"h\0"),
    *(b"\x94", b"(lp0\n", b"F1.5\n", b"I1\n", b"S'a'\n", b"S'\\x'\n", b"V\\u00e9\n", b"u.", b"e", b"s", b"a"),
]
WORDS: list[bytes] = [*(word.encode() for word in _TEXT.split()), *_BYTES]
"""Pieces of all formats."""
