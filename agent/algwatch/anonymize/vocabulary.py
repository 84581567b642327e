# SPDX-License-Identifier: Apache-2.0
"""The words of SIP and SDP; they name no person and stay. In lower case."""

from __future__ import annotations

_SIP = """
sip sips tel urn uuid im pres mailto http https udp tcp tls sctp ws wss dccp anonymous invalid
unknown unavailable ack bye cancel info invite message notify options prack publish refer register
subscribe update via from to contact call id cseq content length type user agent server max
forwards expires route record path service accept encoding language authorization authenticate
proxy www allow events event supported require unsupported date timestamp reason retry after
warning subject organization priority subscription state referred by replaces join session se min
error alert mime version disposition privacy asserted preferred identity diversion history index p
x access network charging vector called party associated uri remote rseq rack authentication
security client verify mechanism target dialog feature caps geolocation tag branch rport received
lr ob transport maddr ttl method q reg instance gr temp pub isub ext phone ip context cpc oli noa
refresher uac uas hide cause text active pending terminated timeout deactivated probation rejected
giveup noresource invariant full none header critical off yes no true false on early only late
digest basic bearer realm username nonce cnonce opaque response qop auth int nc algorithm md5 sess
sha stale domain rspauth nextnonce auts akav1 akav2 100rel timer gruu outbound norefersub histinfo
eventlist precondition tdialog answermode resource recipient multiple sec agree change application
sdp dtmf relay isup sipfrag cpim iscomposing imdn im simple summary multipart mixed alternative
related boundary charset utf plain html xml json pidf reginfo watcherinfo conference presence
voicemail waiting
messages account urgent fax signal duration emergency normal non render handling required optional
base signalling icon card deliver telephone ipsec 3gpp alg hmac spi port esp ealg des ede3 cbc aes
prot mod trans tdls completed elsewhere rtp keep alive keepalive hello expired clearing busy
declined trying ringing forwarded queued progress ok accepted notification moved temporarily
permanently use choices bad request unauthorized payment forbidden not found allowed acceptable
gone conditional entity too large long media extension brief anonymity disallowed flow failed
consent needed transaction does exist loop detected hops address incomplete ambiguous here
undecipherable agreement implemented gateway intermediate global decline anywhere internal failure
reached deleted leg a an and at for in of the with
"""
_SDP = """
in ip4 ip6 audio video image application message text rtp avp avpf savp savpf dtls udptl tcp msrp
tls sendrecv sendonly recvonly inactive rtcp mux fb rsize rtpmap fmtp ptime maxptime crypto inline
ssrc cname msid mid group bundle ice ufrag pwd lite options trickle candidate host srflx prflx
relay typ raddr rport component fingerprint setup actpass passive holdconn sha hash label extmap
nortpmap des qos local remote mandatory strength aes cm hmac null f8 gcm lifetime mki silencesupp
off nack pli fir ccm remb goog pcma pcmu g722 g729 g729a g729b g729d g723 g726 g711 gsm ilbc speex
opus amr wb evs l16 telephone event cn red h261 h263 h264 h265 vp8 vp9 annexb mode set octet align
useinband fec stereo maxaveragebitrate packetization profile level t38 udpec udp ec faxversion
faxmaxbitrate maxbitrate faxratemanagement transferredtcf faxudpec udpredundancy udpfec
faxmaxbuffer faxmaxdatagram faxfillbitremoval faxtranscodingmmr faxtranscodingjbig tias as ct rs
rr clear base64 sess version conf confirm optional session
"""
WORDS = frozenset(_SIP.split()) | frozenset(_SDP.split())
SERVICES = frozenset(("sip", "sips", "www", "pbx", "sbc", "voip", "stun", "ims", "tel"))
PRIVATE = frozenset(("localhost", "localhost.localdomain"))  # everybody has them (RFC 6761)
TOP = frozenset(("com", "net", "org", "info", "biz", "local", "lan", "home", "arpa", "example",
                 "invalid", "test", "localdomain", "internal", "corp", "box"))  # fmt: skip
"""Last labels of domain names, beside those of two letters."""

# Their values are no names: numbers of any length, words of the program.
NUMERIC = frozenset(
    ("cseq", "rseq", "rack", "content-length", "l", "max-forwards", "expires", "min-expires",
     "session-expires", "x", "min-se", "timestamp", "date", "retry-after")
)  # fmt: skip
VERBATIM = frozenset(("reason", "user-agent", "server", "date"))
FREE = frozenset(("subject", "s", "organization", "call-info", "alert-info", "error-info",
                  "in-reply-to", "geolocation"))  # fmt: skip
"""Fields whose text anybody may have written."""
