//! What comes through a socket: first bytes, frames, every message of the native protocol both ways.

use bytes::Bytes;
use thalweg_protocol::frame::{
    Door, FrameReader, HANDSHAKE_BYTES_MAX, decode_body, decode_request_header,
    decode_response_header,
};
use thalweg_protocol::native::{self, Api, Request};

use super::{Decoder, golden};

/// Calls `$work::<R>($body)` with the request type `R` of `$api`.
macro_rules! by_api {
    ($api:expr, $work:ident($body:expr), $($name:ident: $request:ident),* $(,)?) => {
        match $api {
            $(Api::$name => $work::<native::$request>($body),)*
        }
    };
    ($api:expr, $work:ident($body:expr)) => {
        by_api!(
            $api, $work($body),
            Handshake: HandshakeRequest, Authenticate: AuthenticateRequest,
            Metadata: MetadataRequest, DescribeCluster: DescribeClusterRequest,
            CreateTopics: CreateTopicsRequest, DeleteTopics: DeleteTopicsRequest,
            AlterTopics: AlterTopicsRequest, DescribeTopics: DescribeTopicsRequest,
            Produce: ProduceRequest, Fetch: FetchRequest, ListOffsets: ListOffsetsRequest,
            InitProducer: InitProducerRequest, LeaderEpoch: LeaderEpochRequest,
            DeleteRecords: DeleteRecordsRequest, CompactTopics: CompactTopicsRequest,
            FindCoordinator: FindCoordinatorRequest, GroupHeartbeat: GroupHeartbeatRequest,
            CommitOffsets: CommitOffsetsRequest, FetchOffsets: FetchOffsetsRequest,
            DescribeGroups: DescribeGroupsRequest, ListGroups: ListGroupsRequest,
            DeleteGroups: DeleteGroupsRequest, DeleteOffsets: DeleteOffsetsRequest,
        )
    };
}

pub(super) fn all() -> Vec<Decoder> {
    let bodies = |end| golden::vectors(end).into_iter().map(|frame| frame[4..].to_vec()).collect();
    let responses = golden::vectors("_response.hex").into_iter();
    // The number in front stands for the request that was asked: an answer does not name it.
    let responses = responses.flat_map(|frame| {
        (0..Api::ALL.len())
            .map(move |place| [&[u8::try_from(place).unwrap()], &frame[4..]].concat())
    });
    vec![
        Decoder::quick("door and frames", golden::vectors(".hex"), |_| {}, frames),
        Decoder::quick("requests", bodies("_request.hex"), |_| {}, request),
        Decoder::quick("responses", responses.collect(), |_| {}, response),
    ]
}

/// A connection as the server reads it: the door, then frames within the limit before a handshake.
fn frames(bytes: &[u8]) -> bool {
    let door = Door::detect(bytes);
    let mut reader = FrameReader::new(HANDSHAKE_BYTES_MAX);
    let mut whole = 0;
    // Pieces of uneven size, as a socket gives them.
    for piece in bytes.chunks(1 + bytes.len() % 97) {
        reader.buffer().extend_from_slice(piece);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => {
                    assert!(frame.len() <= HANDSHAKE_BYTES_MAX);
                    whole += 1;
                }
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        reader.release();
    }
    whole > 0 || matches!(door, Door::Native { .. })
}

fn request(bytes: &[u8]) -> bool {
    let Ok((header, body)) = decode_request_header(Bytes::copy_from_slice(bytes)) else {
        return false;
    };
    let Some(api) = Api::from_number(header.api) else { return false };
    by_api!(api, decodes_request(body))
}

fn decodes_request<R: Request>(body: thalweg_protocol::codec::Reader) -> bool {
    decode_body::<R>(body).is_ok()
}

/// As our client reads an answer of a broker that it should not trust either.
fn response(bytes: &[u8]) -> bool {
    let Some((place, frame)) = bytes.split_first() else { return false };
    let Ok((header, body)) = decode_response_header(Bytes::copy_from_slice(frame)) else {
        return false;
    };
    if header.error.is_some() {
        return true;
    }
    let api = Api::ALL[usize::from(*place) % Api::ALL.len()];
    by_api!(api, decodes_response(body))
}

fn decodes_response<R: Request>(body: thalweg_protocol::codec::Reader) -> bool {
    decode_body::<R::Response>(body).is_ok()
}
