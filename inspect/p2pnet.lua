-- P2PNet for Wireshark and tshark: beacons, handshakes and records (docs/wire.md; how to load it: docs/inspect.md).
--
-- tshark -X lua_script:inspect/p2pnet.lua -r traffic.pcapng -Y p2pnet
--
-- It names the fields that travel in the clear and decrypts nothing; `p2pnet inspect --keylog` does.

local p2pnet = Proto("p2pnet", "P2PNet")

local MAGIC = "P2P\1"
local BEACON_MAGIC = "P2PB"
local BEACON_BYTES_MIN, BEACON_BYTES_MAX = 128, 512
local MESSAGE_BYTES_MAX = 512
local RECORD_BYTES_MAX = 16384 + 16
local TAG_BYTES, SIGNATURE_BYTES = 16, 64

local CIPHERS = { [1] = "ChaCha20-Poly1305", [2] = "AES-256-GCM" }
local REFUSALS = { [1] = "another network", [2] = "no version or cipher in common" }

local beacon, handshake, record = {}, {}, {}
local fields = {}

-- Makes a field `p2pnet.SECTION.NAME` and keeps it for its section.
local function field(section, sections_name, name, make, label, ...)
    local made = make("p2pnet." .. sections_name .. (name ~= "" and "." .. name or ""), label, ...)
    section[name] = made
    fields[#fields + 1] = made
end

field(beacon, "beacon", "", ProtoField.none, "Beacon")
field(beacon, "beacon", "version", ProtoField.uint8, "Version")
field(beacon, "beacon", "flags", ProtoField.uint8, "Flags", base.HEX)
field(beacon, "beacon", "port", ProtoField.uint16, "TCP port")
field(beacon, "beacon", "network", ProtoField.bytes, "Network tag")
field(beacon, "beacon", "key", ProtoField.bytes, "Identity key")
field(beacon, "beacon", "start", ProtoField.uint64, "Start", base.HEX)
field(beacon, "beacon", "counter", ProtoField.uint64, "Counter")
field(beacon, "beacon", "extension", ProtoField.bytes, "Extension")
field(beacon, "beacon", "extension.kind", ProtoField.uint8, "Kind", base.HEX)
field(beacon, "beacon", "signature", ProtoField.bytes, "Signature")

field(handshake, "handshake", "", ProtoField.none, "Handshake")
field(handshake, "handshake", "message", ProtoField.uint8, "Message")
field(handshake, "handshake", "length", ProtoField.uint16, "Length")
field(handshake, "handshake", "ephemeral", ProtoField.bytes, "Ephemeral key")
field(handshake, "handshake", "static", ProtoField.bytes, "Static key, sealed")
field(handshake, "handshake", "payload", ProtoField.bytes, "Payload")
field(handshake, "handshake", "network", ProtoField.bytes, "Network tag")
field(handshake, "handshake", "version", ProtoField.uint8, "Version offered")
field(handshake, "handshake", "cipher", ProtoField.uint8, "Cipher offered", base.DEC, CIPHERS)
field(handshake, "handshake", "refusal", ProtoField.uint8, "Refusal", base.DEC, REFUSALS)

field(record, "record", "", ProtoField.none, "Record")
field(record, "record", "length", ProtoField.uint16, "Length")
field(record, "record", "number", ProtoField.uint32, "Number")
field(record, "record", "ciphertext", ProtoField.bytes, "Ciphertext")
field(record, "record", "tag", ProtoField.bytes, "Tag")

p2pnet.fields = fields

local malformed = ProtoExpert.new("p2pnet.malformed", "Malformed P2PNet", expert.group.MALFORMED, expert.severity.ERROR)
p2pnet.experts = { malformed }

p2pnet.prefs.ports = Pref.range("Beacon ports", "8001-8003", "The designated UDP ports that beacons go to", 65535)

local function starts_with(buffer, text)
    return buffer:len() >= #text and buffer:raw(0, #text) == text
end

-- A varint (LEB128 of at most 32 bits) at `at`: its value and its length, or nothing.
local function varint(buffer, at)
    local value, scale = 0, 1
    for index = 0, 4 do
        if at + index >= buffer:len() then
            return nil
        end
        local byte = buffer(at + index, 1):uint()
        value = value + (byte % 128) * scale
        if byte < 128 then
            return value, index + 1
        end
        scale = scale * 128
    end
    return nil
end

-- Beacons ----------------------------------------------------------------------------------------------------------

local function extensions(buffer, from, to, tree)
    local at = from
    while at < to do
        local length, used = varint(buffer, at + 1)
        if not length or at + 1 + used + length > to then
            tree:add_proto_expert_info(malformed, "An extension ends after the beacon's last one must")
            return
        end
        local whole = buffer(at, 1 + used + length)
        tree:add(beacon["extension"], whole):add(beacon["extension.kind"], buffer(at, 1))
        at = at + whole:len()
    end
end

local function dissect_beacon(buffer, pinfo, root)
    local bytes = buffer:len()
    if not starts_with(buffer, BEACON_MAGIC) or bytes < BEACON_BYTES_MIN or bytes > BEACON_BYTES_MAX then
        return 0
    end
    pinfo.cols.protocol = "P2PNet"
    local tree = root:add(p2pnet, buffer(), "P2PNet beacon"):add(beacon[""], buffer())
    tree:add(beacon["version"], buffer(4, 1))
    if buffer(4, 1):uint() ~= 1 then
        pinfo.cols.info = "Beacon of version " .. buffer(4, 1):uint()
        return bytes
    end
    local signature = bytes - SIGNATURE_BYTES
    tree:add(beacon["flags"], buffer(5, 1))
    tree:add(beacon["port"], buffer(6, 2))
    tree:add(beacon["network"], buffer(8, 8))
    tree:add(beacon["key"], buffer(16, 32))
    tree:add(beacon["start"], buffer(48, 8))
    tree:add(beacon["counter"], buffer(56, 8))
    extensions(buffer, 64, signature, tree)
    tree:add(beacon["signature"], buffer(signature, SIGNATURE_BYTES))
    pinfo.cols.info = string.format("Beacon %s, port %d", buffer(56, 8):uint64(), buffer(6, 2):uint())
    return bytes
end

-- Channels ---------------------------------------------------------------------------------------------------------

-- What is known of each TCP stream: who opened it, and which piece of which direction lies where. Pieces are counted
-- when they are seen first; Wireshark dissects frames again in any order.
local streams = {}
local tcp_stream = Field.new("tcp.stream")

function p2pnet.init()
    streams = {}
end

-- The kind of a direction's piece number `number`, from 0 on.
local function kind_of(initiator, number)
    if initiator and number <= 1 then
        return number == 0 and 1 or 3
    elseif not initiator and number == 0 then
        return 2
    end
    return "record"
end

local function add_offer(buffer, at, to, tree)
    if to - at < 8 then
        return
    end
    tree:add(handshake["network"], buffer(at, 8))
    at = at + 8
    for _, name in ipairs({ "version", "cipher" }) do
        local count, used = varint(buffer, at)
        if not count or at + used + count > to then
            return
        end
        for index = 0, count - 1 do
            tree:add(handshake[name], buffer(at + used + index, 1))
        end
        at = at + used + count
    end
end

local function add_message(buffer, at, message, tree)
    local length = buffer(at, 2):uint()
    local body, to = at + 2, at + 2 + length
    tree = tree:add(handshake[""], buffer(at, 2 + math.max(length, 1)))
    tree:add(handshake["length"], buffer(at, 2))
    if length == 0 then
        tree:add(handshake["refusal"], buffer(body, 1))
        return "Handshake refused"
    end
    tree:add(handshake["message"], buffer(at, 2), message):set_generated()
    local function part(name, bytes)
        if body + bytes <= to then
            tree:add(handshake[name], buffer(body, bytes))
            body = body + bytes
        end
    end
    if message ~= 3 then
        part("ephemeral", 32)
    end
    if message ~= 1 then
        part("static", 32 + TAG_BYTES)
    end
    if body < to then
        local payload = tree:add(handshake["payload"], buffer(body, to - body))
        if message == 1 then
            add_offer(buffer, body, to, payload)
        end
    end
    return "Handshake message " .. message
end

local function add_record(buffer, at, number, tree)
    local length = buffer(at, 2):uint()
    tree = tree:add(record[""], buffer(at, 2 + length))
    tree:add(record["length"], buffer(at, 2))
    tree:add(record["number"], buffer(at, 2), number):set_generated()
    tree:add(record["ciphertext"], buffer(at + 2, length - TAG_BYTES))
    tree:add(record["tag"], buffer(at + 2 + length - TAG_BYTES, TAG_BYTES))
    return "Record " .. number
end

-- The length of the piece at `at` with its header; nothing if more bytes are needed to tell; false if there is none of
-- that length.
local function piece_length(buffer, at, kind)
    if buffer:len() - at < 2 then
        return nil
    end
    local length = buffer(at, 2):uint()
    if kind == "record" then
        return length > TAG_BYTES and length <= RECORD_BYTES_MAX and 2 + length
    end
    return length <= MESSAGE_BYTES_MAX and 2 + math.max(length, 1)
end

-- Asks for the segments that the piece at `at` still needs.
local function want_more(pinfo, at, bytes)
    pinfo.desegment_offset = at
    pinfo.desegment_len = bytes or DESEGMENT_ONE_MORE_SEGMENT
end

-- Who sends here: true for whoever opened the stream.
local function is_initiator(stream, pinfo)
    return stream.initiator == tostring(pinfo.src) .. " " .. pinfo.src_port
end

-- The number of the first piece of this frame in its direction.
local function first_number(direction, pinfo, buffer)
    local place = pinfo.number .. "/" .. buffer:len()
    if direction.first[place] == nil then
        direction.first[place] = direction.count
    end
    return direction.first[place]
end

local function dissect_channel(buffer, pinfo, root)
    local number = tcp_stream()
    local stream = number and streams[number.value]
    if not stream then
        return 0
    end
    local initiator = is_initiator(stream, pinfo)
    local direction = initiator and stream.there or stream.back
    local first = first_number(direction, pinfo, buffer)
    local at, count, infos = 0, 0, {}
    pinfo.cols.protocol = "P2PNet"
    local tree = root:add(p2pnet, buffer())
    if initiator and first == 0 then
        at = #MAGIC
    end
    while at < buffer:len() do
        local piece = first + count
        local kind = kind_of(initiator, piece)
        local length = piece_length(buffer, at, kind)
        -- The stream's beginning stays with the first message when that isn't whole.
        local start = piece == 0 and initiator and 0 or at
        if length == nil then
            want_more(pinfo, start)
            break
        elseif not length then
            tree:add_proto_expert_info(malformed, "No message or record has this length")
            break
        elseif at + length > buffer:len() then
            want_more(pinfo, start, at + length - buffer:len())
            break
        end
        if kind == "record" then
            infos[#infos + 1] = add_record(buffer, at, piece - (initiator and 2 or 1), tree)
        else
            infos[#infos + 1] = add_message(buffer, at, kind, tree)
        end
        at = at + length
        count = count + 1
    end
    if not pinfo.visited then
        direction.count = math.max(direction.count, first + count)
    end
    if #infos > 0 then
        pinfo.cols.info = table.concat(infos, ", ")
    end
    return buffer:len()
end

-- A stream that begins as an initiator's does is P2PNet's from there on.
local function recognise(buffer, pinfo, root)
    local number = tcp_stream()
    if not number or not starts_with(buffer, MAGIC) then
        return false
    end
    if not streams[number.value] then
        streams[number.value] = {
            initiator = tostring(pinfo.src) .. " " .. pinfo.src_port,
            there = { count = 0, first = {} },
            back = { count = 0, first = {} },
        }
    end
    pinfo.conversation = p2pnet
    dissect_channel(buffer, pinfo, root)
    return true
end

function p2pnet.dissector(buffer, pinfo, root)
    if tcp_stream() then
        return dissect_channel(buffer, pinfo, root)
    end
    return dissect_beacon(buffer, pinfo, root)
end

-- Registration -----------------------------------------------------------------------------------------------------

local udp_ports = DissectorTable.get("udp.port")
local registered

local function register_ports()
    if registered ~= p2pnet.prefs.ports then
        if registered then
            udp_ports:remove(registered, p2pnet)
        end
        registered = p2pnet.prefs.ports
        udp_ports:add(registered, p2pnet)
    end
end

register_ports()
p2pnet.prefs_changed = register_ports
p2pnet:register_heuristic("tcp", recognise)
