-- SPDX-License-Identifier: Apache-2.0
-- Wireshark dissector for MIKEY: RFC 3830 and its ticket modes, RFC 6043. It takes the place of the
-- built-in "mikey", which knows no tickets, on UDP and TCP port 2269, in HTTP bodies of the type
-- application/mikey and in SDP lines a=key-mgmt:mikey. It was written from the RFCs and shares
-- nothing with the library, so that the two decoders check each other (tests/wireshark).
--
-- Every read is tested against the end of what holds it; a read that does not fit raises a fault (a
-- table), which becomes expert info at the payload. Any other error is a bug here and stays visible.

local MIKEY = Proto('mikey_ticket', 'Multimedia Internet KEYing (MIKEY, RFC 3830 and RFC 6043)')
local NESTED_MAX = 4 -- TP Data may hold a TP, whose TP Data ...

-- Numbers of the registry "mikey-payloads" -----------------------------------------------------------

local DATA_TYPE = {
  [0] = 'PSK_INIT', 'PSK_RESP', 'PK_INIT', 'PK_RESP', 'DH_INIT', 'DH_RESP', 'ERROR', 'DHHMAC_INIT',
  'DHHMAC_RESP', 'RSA_R_INIT', 'RSA_R_RESP', 'REQUEST_INIT_PSK', 'REQUEST_INIT_PK', 'REQUEST_RESP',
  'TRANSFER_INIT', 'TRANSFER_RESP', 'RESOLVE_INIT_PSK', 'RESOLVE_INIT_PK', 'RESOLVE_RESP',
  [26] = 'SAKKE',
}
local PAYLOAD = {
  [0] = 'Last payload', 'KEMAC', 'PKE', 'DH', 'SIGN', 'T', 'ID', 'CERT', 'CHASH', 'V', 'SP', 'RAND',
  'ERR', 'TR', 'IDR', 'RANDR', 'TP', 'TICKET', [20] = 'Key Data', [21] = 'General Ext.',
  [22] = 'IBAKE', [23] = 'ESK', [24] = 'SK', [25] = 'ECCPT', [26] = 'SAKKE',
}
local PRF = { [0] = 'MIKEY-1', 'PRF-HMAC-SHA-256' }
local MAP = { [0] = 'SRTP-ID', 'Empty map', 'GENERIC-ID' }
local PROT = { [0] = 'SRTP', 'TESLA' }
local ENCR = { [0] = 'NULL', 'AES-CM-128', 'AES-KW-128', 'AES-CM-256' }
local MAC = { [0] = 'NULL', 'HMAC-SHA-1-160', 'HMAC-SHA-256-256' }
local MAC_LEN = { [0] = 0, 20, 32 }
local CACHE = { [0] = 'No cache', 'Cache', 'Cache for CSB' }
local DH_GROUP = { [0] = 'OAKLEY 5', 'OAKLEY 1', 'OAKLEY 2' }
local DH_LEN = { [0] = 192, 96, 128 }
local S_TYPE = { [0] = 'RSA/PKCS#1/1.5', 'RSA/PSS', 'ECCSI' }
local TS_TYPE = { [0] = 'NTP-UTC', 'NTP', 'COUNTER', 'NTP-UTC-32' }
local TS_LEN = { [0] = 8, 8, 4, 4 }
local TS_COUNTER = 2
local TS_ROLE = {
  'Time of issue (TRi)', 'Start of validity period (TRs)', 'End of validity period (TRe)',
  'Rekeying interval (TRr)',
}
local TS_ROLE_REKEYING = 4
local ID_TYPE = { [0] = 'NAI', 'URI', 'Byte string' }
local ID_TYPE_BYTES = 2
local ID_ROLE = {
  'Initiator (IDRi)', 'Responder (IDRr)', 'KMS (IDRkms)', 'Pre-Shared Key (IDRpsk)',
  'Application (IDRapp)', 'IDRkmsi', 'IDRkmsr', 'IDRuidi', 'IDRuidr',
}
local CERT_TYPE = { [0] = 'X.509v3', 'X.509v3 URL', 'X.509v3 Sign', 'X.509v3 Encr' }
local HASH = { [0] = 'SHA-1', 'MD5', 'SHA-256' }
local HASH_LEN = { [0] = 20, 16, 32 }
local RAND_ROLE = { 'Initiator (RANDRi)', 'Responder (RANDRr)', 'KMS (RANDRkms)' }
local ERROR = {
  [0] = 'Auth failure', 'Invalid TS', 'Invalid PRF', 'Invalid MAC', 'Invalid EA', 'Invalid HA',
  'Invalid DH', 'Invalid ID', 'Invalid Cert', 'Invalid SP', 'Invalid SPpar', 'Invalid DT',
  'Unspecified', 'Unsupported', 'Invalid TICKET', 'Invalid TPpar',
}
local KEY_TYPE = { [0] = 'TGK', 'TGK+SALT', 'TEK', 'TEK+SALT', 'GTGK', 'GTGK+SALT', 'MPK' }
local KEY_HAS_SALT = { [1] = true, [3] = true, [5] = true }
local KV = { [0] = 'Null', 'SPI/MKI', 'Interval' }
local EXT = {
  [0] = 'Vendor ID', 'SDP IDs', 'TESLA I-Key', 'Key ID', 'CSB_ID', 'OMA BCAST Key ID',
  'SAKKE-to-self', '3GPP key parameters',
}
local EXT_IS_TEXT = { [0] = true, true }
local TICKET_TYPE = {
  'MIKEY Base Ticket', '3GPP Base Ticket',
  -- private use, docs/formats of this project
  [61440] = 'reference ticket', [61441] = 'compatibility ticket',
}
-- What is in the Ticket Data, by type, subtype and version. Of other types nothing is known.
local TICKET_DATA = {
  ['1.1.1'] = 'payloads', ['61440.1.1'] = 'payloads', -- from THDR on; by reference it names the keys
  ['61441.1.1'] = 'message', ['61441.2.1'] = 'message', -- of RFC 3830
}
local SRTP_PARAM = {
  [0] = 'Encryption algorithm', 'Session Encr. key length', 'Authentication algorithm',
  'Session Auth. key length', 'Session Salt key length', 'SRTP Pseudo Random Function',
  'Key derivation rate', 'SRTP encryption off/on', 'SRTCP encryption off/on', "sender's FEC order",
  'SRTP authentication off/on', 'Authentication tag length', 'SRTP prefix length',
  'ROC transmission rate', 'SRTP Auth. algorithm', 'SRTCP Auth. algorithm',
  'SRTP Session Auth. key length', 'SRTCP Session Auth. key length',
  'SRTP Authentication tag length', 'SRTCP Authentication tag length',
  'AEAD authentication tag length',
}

-- Fields ---------------------------------------------------------------------------------------------

local F = {} -- by the name behind "mikey_ticket."

local function declare(kind, name, label, ...)
  F[name] = ProtoField[kind]('mikey_ticket.' .. name, label, ...)
end
local function u8(name, label, names, mask) declare('uint8', name, label, base.DEC, names, mask) end
local function u16(name, label, names, mask) declare('uint16', name, label, base.DEC, names, mask) end
local function u32(name, label) declare('uint32', name, label, base.DEC) end
local function octets(name, label) declare('bytes', name, label) end
-- A length and the octets it counts.
local function vec8(name, label) u8(name .. '_len', label .. ' length') octets(name, label) end
local function vec16(name, label) u16(name .. '_len', label .. ' length') octets(name, label) end
local function group(name, label) declare('none', name, label) end

for _, what in pairs({
  { 'kemac', 'KEMAC' }, { 'pke', 'PKE' }, { 'dh', 'DH' }, { 'sign', 'SIGN' }, { 't', 'T' },
  { 'id', 'ID' }, { 'cert', 'CERT' }, { 'chash', 'CHASH' }, { 'v', 'V' }, { 'sp', 'SP' },
  { 'rand', 'RAND' }, { 'err', 'ERR' }, { 'tr', 'TR' }, { 'idr', 'IDR' }, { 'randr', 'RANDR' },
  { 'tp', 'TP' }, { 'ticket', 'TICKET' }, { 'key_data', 'Key Data' }, { 'ext', 'General Ext.' },
  { 'thdr', 'THDR' }, { 'unknown', 'Payload that is not known here' }, { 'hdr', 'HDR' },
  { 'hdr.cs', 'Crypto session' }, { 'sp.param', 'Parameter' },
}) do group(what[1], what[2]) end

u8('next', 'Next Payload', PAYLOAD)
u32('undissected', 'Octets not dissected')
octets('trailing', 'Octets after the last payload')

u8('hdr.version', 'Version')
u8('hdr.data_type', 'Data type', DATA_TYPE)
u8('hdr.next', 'Next payload', PAYLOAD)
declare('bool', 'hdr.v', 'V', 8, { 'a response is expected', 'no response is expected' }, 0x80)
u8('hdr.prf', 'PRF func', PRF, 0x7F)
declare('uint32', 'hdr.csb_id', 'CSB ID', base.HEX)
u8('hdr.n_cs', '#CS')
u8('hdr.map_type', 'CS ID map type', MAP)
u8('hdr.cs.id', 'CS ID')
u8('hdr.cs.prot_type', 'Prot type', PROT)
declare('bool', 'hdr.cs.s', 'S', 8, { 'ROC and SEQ are sent', 'no ROC and no SEQ' }, 0x80)
u8('hdr.cs.n_policies', '#P', nil, 0x7F)
u8('hdr.cs.policy_no', 'Policy_no')
vec16('hdr.cs.session_data', 'Session Data')
declare('uint32', 'hdr.cs.ssrc', 'SSRC', base.HEX)
u32('hdr.cs.roc', 'ROC')
u16('hdr.cs.seq', 'SEQ')
vec8('hdr.cs.spi', 'SPI')

u8('kemac.encr_alg', 'Encr alg', ENCR)
vec16('kemac.encr_data', 'Encr data')
u8('kemac.mac_alg', 'MAC alg', MAC)
octets('kemac.mac', 'MAC')
u16('pke.c', 'C', CACHE, 0xC000)
u16('pke.data_len', 'Data length', nil, 0x3FFF)
octets('pke.data', 'Data')
u8('dh.group', 'DH-Group', DH_GROUP)
octets('dh.value', 'DH-value')
u8('dh.reserv', 'Reserv', nil, 0xF0)
u16('sign.s_type', 'S type', S_TYPE, 0xF000)
u16('sign.signature_len', 'Signature length', nil, 0x0FFF)
octets('sign.signature', 'Signature')
u8('ts.role', 'TS Role', TS_ROLE)
u8('ts.type', 'TS Type', TS_TYPE)
octets('ts.value', 'TS Value')
declare('absolute_time', 'ts.utc', 'Time', base.UTC)
u32('ts.counter', 'Counter')
u32('ts.seconds', 'Seconds')
u8('id.role', 'ID Role', ID_ROLE)
u8('id.type', 'ID Type', ID_TYPE)
u16('id.data_len', 'ID length')
declare('string', 'id.data', 'ID Data')
octets('id.octets', 'ID Data')
u8('cert.type', 'Cert Type', CERT_TYPE)
vec16('cert.data', 'Certificate Data')
u8('chash.hash_func', 'Hash func', HASH)
octets('chash.hash', 'Hash')
u8('v.auth_alg', 'Auth alg', MAC)
octets('v.mac', 'Ver data')
u8('sp.policy_no', 'Policy no')
u8('sp.prot_type', 'Prot type', PROT)
u16('sp.params_len', 'Policy param length')
u8('sp.param.type', 'Type')
u8('sp.param.srtp_type', 'Type', SRTP_PARAM)
u8('sp.param.len', 'Length')
u32('sp.param.value', 'Value')
octets('sp.param.octets', 'Value')
u8('rand.role', 'RAND Role', RAND_ROLE)
vec8('rand.rand', 'RAND')
u8('err.error_no', 'Error no', ERROR)
u16('err.reserved', 'Reserved')
u8('ext.type', 'Type', EXT)
u16('ext.data_len', 'Data length')
declare('string', 'ext.text', 'Data')
octets('ext.data', 'Data')
vec16('thdr.data', 'THDR Data')

u8('key.type', 'Type', KEY_TYPE, 0xF0)
u8('kv.kv', 'KV', KV, 0x0F)
u16('key.key_len', 'Key data length')
u16('key.salt_len', 'Salt data length')
vec8('kv.spi', 'SPI')
vec8('kv.from', 'Valid From')
vec8('kv.to', 'Valid To')

u16('ticket.type', 'Ticket Type', TICKET_TYPE)
u8('ticket.subtype', 'Subtype')
u8('ticket.version', 'Version')
declare('uint24', 'ticket.prf', 'PRF Func', base.DEC, PRF, 0xFE0000)
declare('string', 'ticket.flags', 'Flags')
declare('uint24', 'ticket.res', 'Res', base.DEC, nil, 0x00001F)
-- letter, its bit, said of 1, said of 0 (RFC 6043 6.10)
local FLAGS = {
  { 'D', 0x010000, 'the ticket was generated by the KMS', 'the ticket was generated by the Initiator' },
  { 'E', 0x008000, 'Ticket Resolve is mandatory', 'the Responder may resolve the ticket itself' },
  { 'F', 0x004000, 'a TRANSFER_RESP must be sent', 'no TRANSFER_RESP may be sent' },
  { 'G', 0x002000, 'the Responder generates RANDRr', 'the Responder does not generate RANDRr' },
  { 'H', 0x001000, 'RANDRi goes into the keys', 'RANDRi does not go into the keys' },
  { 'I', 0x000800, 'keys are forked', 'keys are not forked' },
  { 'J', 0x000400, 'the ticket may be reused', 'the ticket must not be reused' },
  { 'K', 0x000200, 'the KMS changed the policy', 'the KMS did not change the policy' },
  { 'L', 0x000100, 'the Initiator may supply keys', 'the Initiator may not supply keys' },
  { 'M', 0x000080, 'the Responder may supply keys', 'the Responder may not supply keys' },
  { 'N', 0x000040, 'any Initiator can use it', 'the Initiator needs additional processing' },
  { 'O', 0x000020, 'any Responder can use it', 'the Responder needs additional processing' },
}
for _, flag in ipairs(FLAGS) do
  declare('bool', 'ticket.flag_' .. flag[1]:lower(), flag[1], 24, { flag[3], flag[4] }, flag[2])
end
-- Chains of payloads: a length and the item that holds them. Not octets: those could be keys.
for _, name in ipairs({ 'TP Data', 'Ticket Data', 'Initiator Data' }) do
  local abbrev = 'ticket.' .. name:lower():gsub(' ', '_')
  u16(abbrev .. '_len', name .. ' length')
  u8(abbrev .. '_first', 'First Payload', PAYLOAD)
  group(abbrev, name)
end
octets('ticket.other_data', 'Ticket Data')
group('ticket.message', 'Ticket Data')
group('kemac.keys', 'Encr data')
local LENGTH_OF = { ['kemac.keys'] = 'kemac.encr_data_len' }

MIKEY.fields = F

local E_MALFORMED = ProtoExpert.new('mikey_ticket.malformed', 'Malformed', expert.group.MALFORMED,
  expert.severity.ERROR)
local E_CLEAR = ProtoExpert.new('mikey_ticket.keys_in_clear', 'Keys without encryption',
  expert.group.SECURITY, expert.severity.WARN)
local E_NO_MAC = ProtoExpert.new('mikey_ticket.no_mac', 'No authentication', expert.group.SECURITY,
  expert.severity.WARN)
MIKEY.experts = { E_MALFORMED, E_CLEAR, E_NO_MAC }

-- Reading --------------------------------------------------------------------------------------------

-- A cursor walks over tvb from `at` up to `stop` and adds what it reads to `tree`.
local Cursor = {}
Cursor.__index = Cursor

local function cursor(tvb, at, stop, tree)
  return setmetatable({ tvb = tvb, at = at, stop = stop, tree = tree }, Cursor)
end

local function fault(why) error({ fault = why }) end

function Cursor:left() return self.stop - self.at end

function Cursor:take(n, what)
  if n > self:left() then
    fault(string.format('%s: %d of %d octets are there', what, self:left(), n))
  end
  self.at = self.at + n
  return self.at - n
end

-- An unsigned integer of n octets, shown as each of the named fields (they differ in their masks).
function Cursor:uint(n, what, ...)
  local range = self.tvb:range(self:take(n, what), n)
  for _, name in ipairs({ ... }) do self.tree:add(F[name], range) end
  return range:uint()
end

-- n octets, shown as the field, unless there are none. Returns where they begin.
function Cursor:octets(n, what, name)
  local at = self:take(n, what)
  if n > 0 then self.tree:add(F[name], self.tvb:range(at, n)) end
  return at
end

-- A length of `width` octets, then that many octets.
function Cursor:vec(width, what, name)
  local n = self:uint(width, what .. ' length', name .. '_len')
  return self:octets(n, what, name), n
end

-- Octets whose number follows from an algorithm.
function Cursor:implied(lengths, algorithm, what, name)
  local n = lengths[algorithm]
  if not n then fault(string.format('%s: its length is not known for %d', what, algorithm)) end
  return self:octets(n, what, name)
end

function Cursor:text(at, n) return n > 0 and self.tvb:range(at, n):string() or '' end

local function malformed(tree, why, n)
  tree:add_proto_expert_info(E_MALFORMED, why)
  tree:add(F['undissected'], n):set_generated()
end

-- Runs body; a fault in it is shown at `tree`, with `left()` octets given up. True: no fault.
local function guarded(tree, left, body)
  local ok, problem = pcall(body)
  if ok then return true end
  if type(problem) ~= 'table' or not problem.fault then error(problem, 0) end
  malformed(tree, problem.fault, left)
  return false
end

-- Payloads -------------------------------------------------------------------------------------------

local chain -- below: payloads hold chains, chains hold payloads

-- `first` nil: the octet in front of the chain names its first payload. A chain that is nested too
-- deep is only counted.
local function nested(c, name, label, first, ctx)
  local n = c:uint(2, label .. ' length', LENGTH_OF[name] or name .. '_len')
  local at = c:take(n, label)
  if n == 0 then return end
  local tree = c.tree:add(F[name], c.tvb:range(at, n)):set_text(string.format('%s: %d octets', label, n))
  if ctx.depth == NESTED_MAX then
    malformed(tree, label .. ' is nested too deep', n)
    return
  end
  local inner = cursor(c.tvb, at, at + n, tree)
  chain(inner, first or inner:uint(1, 'First Payload', name .. '_first'),
    { depth = ctx.depth + 1, tp = ctx.tp, facts = ctx.facts })
end

local function timestamp(c, item, interval)
  local kind = c:uint(1, 'TS Type', 'ts.type')
  local at = c:implied(TS_LEN, kind, 'TS Value', 'ts.value')
  local first = c.tvb:range(at, 4)
  if kind == TS_COUNTER or interval then
    c.tree:add(F[kind == TS_COUNTER and 'ts.counter' or 'ts.seconds'], first)
    item:append_text(string.format(': %d%s', first:uint(), kind == TS_COUNTER and '' or ' s'))
    return
  end
  local ntp = first:uint()
  local era = ntp < 0x80000000 and 0x100000000 or 0 -- RFC 4330 3: it is 2036 or later
  local unix = ntp + era - 2208988800
  c.tree:add(F['ts.utc'], c.tvb:range(at, TS_LEN[kind]), NSTime.new(unix, 0)):set_generated()
  item:append_text(os.date('!: %Y-%m-%dT%H:%M:%SZ', unix))
end

local function identity(c, item)
  local kind = c:uint(1, 'ID Type', 'id.type')
  local n = c:uint(2, 'ID length', 'id.data_len')
  local at = c:octets(n, 'ID Data', kind == ID_TYPE_BYTES and 'id.octets' or 'id.data')
  local text = kind ~= ID_TYPE_BYTES and c:text(at, n) or string.format('%d octets', n)
  item:append_text(' ' .. text)
  return text
end

local function key_validity(c, kv)
  if kv == 1 then
    c:vec(1, 'SPI', 'kv.spi')
  elseif kv == 2 then
    c:vec(1, 'Valid From', 'kv.from')
    c:vec(1, 'Valid To', 'kv.to')
  elseif kv ~= 0 then
    fault(string.format('KV %d: the length of its data is not known', kv))
  end
end

-- The length of key octets; the octets themselves stay in the capture.
local function key_octets(c, label, name)
  c:take(c:uint(2, label .. ' length', name .. '_len'), label)
end

local function policy(c, item, ctx, is_tp)
  local ticket = { c:uint(2, 'Ticket Type', 'ticket.type'), c:uint(1, 'Subtype', 'ticket.subtype'),
    c:uint(1, 'Version', 'ticket.version') }
  local names = { 'ticket.prf' }
  for _, flag in ipairs(FLAGS) do names[#names + 1] = 'ticket.flag_' .. flag[1]:lower() end
  names[#names + 1] = 'ticket.res'
  local at = c.at
  local bits = c:uint(3, 'PRF Func and flags', table.unpack(names))
  local set = ''
  for _, flag in ipairs(FLAGS) do
    if math.floor(bits / flag[2]) % 2 == 1 then set = set .. flag[1] end
  end
  c.tree:add(F['ticket.flags'], c.tvb:range(at, 3), set):set_generated()
  item:append_text(', flags ' .. set)
  ctx.facts.flags = ctx.facts.flags or set
  if c:left() >= 2 and c.tvb:range(c.at, 2):uint() == 0 then
    fault('TP Data is empty: it has no First Payload')
  end
  nested(c, 'ticket.tp_data', 'TP Data', nil,
    { depth = ctx.depth, tp = is_tp, facts = ctx.facts })
  return TICKET_DATA[table.concat(ticket, '.')]
end

-- type -> { name of its field, dissector(cursor, item, ctx) }; ctx: depth, tp (inside a TP), facts
local DISSECT = {}

DISSECT[1] = { 'kemac', function(c, item, ctx)
  local alg = c:uint(1, 'Encr alg', 'kemac.encr_alg')
  if alg == 0 then
    if not ctx.tp then item:add_proto_expert_info(E_CLEAR) end
    nested(c, 'kemac.keys', 'Encr data', 20, ctx)
  else
    c:vec(2, 'Encr data', 'kemac.encr_data')
  end
  local mac = c:uint(1, 'MAC alg', 'kemac.mac_alg')
  c:implied(MAC_LEN, mac, 'MAC', 'kemac.mac')
end }

DISSECT[2] = { 'pke', function(c)
  local n = c:uint(2, 'Data length', 'pke.c', 'pke.data_len') % 0x4000
  c:octets(n, 'Data', 'pke.data')
end }

DISSECT[3] = { 'dh', function(c)
  local kind = c:uint(1, 'DH-Group', 'dh.group')
  c:implied(DH_LEN, kind, 'DH-value', 'dh.value')
  key_validity(c, c:uint(1, 'KV', 'dh.reserv', 'kv.kv') % 16)
end }

DISSECT[4] = { 'sign', function(c)
  local n = c:uint(2, 'Signature length', 'sign.s_type', 'sign.signature_len') % 0x1000
  c:octets(n, 'Signature', 'sign.signature')
end, last = true }

DISSECT[5] = { 't', function(c, item) timestamp(c, item, false) end }

DISSECT[6] = { 'id', function(c, item) identity(c, item) end }

DISSECT[7] = { 'cert', function(c)
  c:uint(1, 'Cert Type', 'cert.type')
  c:vec(2, 'Certificate Data', 'cert.data')
end }

DISSECT[8] = { 'chash', function(c)
  local kind = c:uint(1, 'Hash func', 'chash.hash_func')
  c:implied(HASH_LEN, kind, 'Hash', 'chash.hash')
end }

DISSECT[9] = { 'v', function(c, item)
  local alg = c:uint(1, 'Auth alg', 'v.auth_alg')
  if alg == 0 then item:add_proto_expert_info(E_NO_MAC) end
  c:implied(MAC_LEN, alg, 'Ver data', 'v.mac')
end }

DISSECT[10] = { 'sp', function(c)
  c:uint(1, 'Policy no', 'sp.policy_no')
  local srtp = c:uint(1, 'Prot type', 'sp.prot_type') == 0
  local n = c:uint(2, 'Policy param length', 'sp.params_len')
  local at = c:take(n, 'Policy param')
  local all = cursor(c.tvb, at, at + n, c.tree)
  while all:left() > 0 do
    local item = c.tree:add(F['sp.param'], c.tvb:range(all.at, all:left()))
    local one = cursor(c.tvb, all.at, all.stop, item)
    local kind = one:uint(1, 'Type', srtp and 'sp.param.srtp_type' or 'sp.param.type')
    local len = one:uint(1, 'Length', 'sp.param.len')
    one:octets(len, 'Value', len <= 4 and 'sp.param.value' or 'sp.param.octets')
    item:set_len(one.at - all.at)
    item:append_text(': ' .. (srtp and SRTP_PARAM[kind] or string.format('type %d', kind)))
    all.at = one.at
  end
end }

DISSECT[11] = { 'rand', function(c) c:vec(1, 'RAND', 'rand.rand') end }

DISSECT[12] = { 'err', function(c, item, ctx)
  local no = c:uint(1, 'Error no', 'err.error_no')
  c:uint(2, 'Reserved', 'err.reserved')
  item:append_text(': ' .. (ERROR[no] or no))
  ctx.facts.error = ERROR[no] or string.format('error %d', no)
end }

DISSECT[13] = { 'tr', function(c, item)
  local role = c:uint(1, 'TS Role', 'ts.role')
  item:append_text(' ' .. (TS_ROLE[role] or role))
  timestamp(c, item, role == TS_ROLE_REKEYING)
end }

DISSECT[14] = { 'idr', function(c, item, ctx)
  local role = c:uint(1, 'ID Role', 'id.role')
  item:append_text(' ' .. (ID_ROLE[role] or role))
  local text = identity(c, item)
  if ctx.depth == 0 and ID_ROLE[role] and not ctx.facts[role] then ctx.facts[role] = text end
end }

DISSECT[15] = { 'randr', function(c, item)
  local role = c:uint(1, 'RAND Role', 'rand.role')
  item:append_text(' ' .. (RAND_ROLE[role] or role))
  c:vec(1, 'RAND', 'rand.rand')
end }

DISSECT[16] = { 'tp', function(c, item, ctx) policy(c, item, ctx, true) end }

local header -- below, with the rest of the common header

-- A whole message in a payload. What it says of itself is not what the message around it is about.
local function nested_message(c, ctx)
  local n = c:uint(2, 'Ticket Data length', 'ticket.ticket_data_len')
  local at = c:take(n, 'Ticket Data')
  if n == 0 then return end
  local tree = c.tree:add(F['ticket.message'], c.tvb:range(at, n))
  tree:set_text(string.format('Ticket Data: RFC 3830 message, %d octets', n))
  if ctx.depth == NESTED_MAX then
    malformed(tree, 'Ticket Data is nested too deep', n)
    return
  end
  local inner, facts, first = cursor(c.tvb, at, at + n, tree), {}, nil
  local item = tree:add(F['hdr'], c.tvb:range(at, n))
  local hdr = cursor(c.tvb, at, at + n, item)
  if guarded(item, n, function() first = header(hdr, facts) end) then
    item:set_len(hdr.at - at)
    inner.at = hdr.at
    chain(inner, first, { depth = ctx.depth + 1, tp = false, facts = facts })
  end
end

DISSECT[17] = { 'ticket', function(c, item, ctx)
  local data = policy(c, item, ctx, false)
  if data == 'payloads' then
    nested(c, 'ticket.ticket_data', 'Ticket Data', 'THDR', ctx)
  elseif data == 'message' then
    nested_message(c, ctx)
  else
    local n = c:uint(2, 'Ticket Data length', 'ticket.ticket_data_len')
    c:octets(n, 'Ticket Data', 'ticket.other_data')
  end
  nested(c, 'ticket.initiator_data', 'Initiator Data', nil, ctx)
end }

DISSECT[20] = { 'key_data', function(c, item)
  local bits = c:uint(1, 'Type and KV', 'key.type', 'kv.kv')
  local kind, kv = math.floor(bits / 16), bits % 16
  if not KEY_TYPE[kind] then fault(string.format('key type %d: not known if a salt follows', kind)) end
  item:append_text(' ' .. KEY_TYPE[kind])
  if not KV[kv] then key_validity(c, kv) end
  key_octets(c, 'Key data', 'key.key')
  if KEY_HAS_SALT[kind] then key_octets(c, 'Salt data', 'key.salt') end
  key_validity(c, kv)
end }

DISSECT[21] = { 'ext', function(c)
  local kind = c:uint(1, 'Type', 'ext.type')
  local n = c:uint(2, 'Data length', 'ext.data_len')
  c:octets(n, 'Data', EXT_IS_TEXT[kind] and 'ext.text' or 'ext.data')
end }

DISSECT['THDR'] = { 'thdr', function(c) c:vec(2, 'THDR Data', 'thdr.data') end }

-- Octets that nobody claims: the item that shows them, which has to be there for zero octets, too.
local function rest(c, name)
  local n = c:left()
  return n > 0 and c.tree:add(F[name], c.tvb:range(c.at, n)) or c.tree, n
end

-- One payload. Returns the type of the next one, or nil after a fault.
local function payload(c, kind, ctx)
  local def = DISSECT[kind]
  if not def then
    local item, n = rest(c, 'unknown')
    malformed(item, string.format('payload type %d (%s): its framing is not known here', kind,
      PAYLOAD[kind] or 'unassigned'), n)
    return nil
  end
  if c:left() == 0 then
    malformed(c.tree, (PAYLOAD[kind] or kind) .. ' is announced, but nothing follows', 0)
    return nil
  end
  local start, n, following = c.at, c:left(), 0
  local item = c.tree:add(F[def[1]], c.tvb:range(start, n))
  local inner = cursor(c.tvb, start, c.stop, item)
  if not guarded(item, n, function()
    if not def.last then following = inner:uint(1, 'Next Payload', 'next') end
    def[2](inner, item, ctx)
  end) then return nil end
  item:set_len(inner.at - start)
  c.at = inner.at
  return following
end

function chain(c, first, ctx)
  local kind = first
  while kind ~= 0 do
    kind = payload(c, kind, ctx)
    if not kind then return end
  end
  if c:left() > 0 then
    local item, n = rest(c, 'trailing')
    malformed(item, 'octets after the last payload', n)
  end
end

-- Header ---------------------------------------------------------------------------------------------

local function srtp_session_data(c, n, s)
  if n == 0 then return end
  if n ~= (s and 10 or 4) then
    fault(string.format('Session Data of SRTP has %d octets instead of %d', n, s and 10 or 4))
  end
  c:uint(4, 'SSRC', 'hdr.cs.ssrc')
  if s then
    c:uint(4, 'ROC', 'hdr.cs.roc')
    c:uint(2, 'SEQ', 'hdr.cs.seq')
  end
end

local function generic_id(c)
  local id = c:uint(1, 'CS ID', 'hdr.cs.id')
  local prot = c:uint(1, 'Prot type', 'hdr.cs.prot_type')
  local bits = c:uint(1, '#P', 'hdr.cs.s', 'hdr.cs.n_policies')
  for _ = 1, bits % 128 do c:uint(1, 'Policy_no', 'hdr.cs.policy_no') end
  local n = c:uint(2, 'Session Data length', 'hdr.cs.session_data_len')
  local at = c:take(n, 'Session Data')
  if prot == 0 then
    srtp_session_data(cursor(c.tvb, at, at + n, c.tree), n, bits >= 128)
  elseif n > 0 then
    c.tree:add(F['hdr.cs.session_data'], c.tvb:range(at, n))
  end
  c:vec(1, 'SPI', 'hdr.cs.spi')
  return id
end

local function srtp_id(c, i)
  local at = c.tvb:range(c.at, c:left())
  c.tree:add(F['hdr.cs.id'], at, i):set_generated()
  c.tree:add(F['hdr.cs.prot_type'], at, 0):set_generated()
  c:uint(1, 'Policy_no', 'hdr.cs.policy_no')
  c:uint(4, 'SSRC', 'hdr.cs.ssrc')
  c:uint(4, 'ROC', 'hdr.cs.roc')
  return i
end

function header(c, facts)
  if c:uint(1, 'Version', 'hdr.version') ~= 1 then fault('the version is not 1') end
  local kind = c:uint(1, 'Data type', 'hdr.data_type')
  facts.data_type = DATA_TYPE[kind] or string.format('data type %d', kind)
  local first = c:uint(1, 'Next payload', 'hdr.next')
  c:uint(1, 'PRF func', 'hdr.v', 'hdr.prf')
  facts.csb_id = c:uint(4, 'CSB ID', 'hdr.csb_id')
  local n = c:uint(1, '#CS', 'hdr.n_cs')
  local map = c:uint(1, 'CS ID map type', 'hdr.map_type')
  if not MAP[map] then fault(string.format('CS ID map type %d: its framing is not known', map)) end
  for i = 1, map == 1 and 0 or n do
    if c:left() == 0 then fault(string.format('crypto session %d of %d is cut off', i, n)) end
    local item = c.tree:add(F['hdr.cs'], c.tvb:range(c.at, c:left()))
    local one = cursor(c.tvb, c.at, c.stop, item)
    item:append_text(string.format(' %d', map == 2 and generic_id(one) or srtp_id(one, i)))
    item:set_len(one.at - c.at)
    c.at = one.at
  end
  return first
end

-- Base64 is accepted in HTTP bodies; a message begins with octet 1, which no base64 text does.
local function unpacked(tvb)
  if tvb:len() == 0 or tvb:range(0, 1):uint() == 1 then return tvb end
  local text = tvb:range(0):string()
  if #text ~= tvb:len() or text:find('[^%w+/=%s]') then return tvb end
  local plain = ByteArray.new((text:gsub('%s', '')), true):base64_decode()
  return plain:len() > 0 and plain:tvb('MIKEY message (base64)') or tvb
end

local function summary(facts)
  local s = facts.data_type or 'malformed'
  if facts.csb_id then s = s .. string.format(', CSB 0x%08x', facts.csb_id) end
  if facts[1] then s = s .. ', from ' .. facts[1] end
  if facts[2] then s = s .. ', to ' .. facts[2] end
  if facts.flags then s = s .. ', flags ' .. facts.flags end
  if facts.error then s = s .. ', ' .. facts.error end
  return s
end

function MIKEY.dissector(given, pinfo, tree)
  local tvb = unpacked(given)
  if tvb:len() == 0 then return 0 end
  local facts, first = {}, nil
  local top = tree:add(MIKEY, tvb:range(0))
  local c = cursor(tvb, 0, tvb:len(), top)
  local item = top:add(F['hdr'], tvb:range(0))
  local hdr = cursor(tvb, 0, tvb:len(), item)
  if guarded(item, tvb:len(), function() first = header(hdr, facts) end) then
    item:set_len(hdr.at)
    c.at = hdr.at
    chain(c, first, { depth = 0, tp = false, facts = facts })
  end
  top:append_text(', ' .. summary(facts))
  if pinfo.match_uint == 2269 then
    pinfo.cols.protocol:set('MIKEY')
    pinfo.cols.info:set(summary(facts))
  else
    pinfo.cols.info:append(' [MIKEY ' .. summary(facts) .. ']')
  end
  return given:len()
end

DissectorTable.get('udp.port'):add(2269, MIKEY)
DissectorTable.get('tcp.port'):add(2269, MIKEY)
DissectorTable.get('media_type'):add('application/mikey', MIKEY)
DissectorTable.get('key_mgmt'):add('mikey', MIKEY)
