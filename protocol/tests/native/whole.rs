//! Whole frames to values and back, whatever the request: each kind of message behind one door.

use bytes::Bytes;
use thalweg_protocol::codec::{DecodeError, Reader};
use thalweg_protocol::frame::{
    decode_body, decode_request_header, decode_response_header, error_frame, request_frame,
    response_frame,
};
use thalweg_protocol::native::{Api, Request, RequestHeader, ResponseHeader};

use crate::vectors::Kind;

/// Calls `$work::<thalweg_protocol::native::R>($arguments)` with the request type of `$api`.
macro_rules! by_api {
    ($api:expr, $work:ident($($argument:expr),*)) => {
        match $api {
            Api::Handshake => $work::<thalweg_protocol::native::HandshakeRequest>($($argument),*),
            Api::Authenticate => $work::<thalweg_protocol::native::AuthenticateRequest>($($argument),*),
            Api::Metadata => $work::<thalweg_protocol::native::MetadataRequest>($($argument),*),
            Api::DescribeCluster => $work::<thalweg_protocol::native::DescribeClusterRequest>($($argument),*),
            Api::CreateTopics => $work::<thalweg_protocol::native::CreateTopicsRequest>($($argument),*),
            Api::DeleteTopics => $work::<thalweg_protocol::native::DeleteTopicsRequest>($($argument),*),
            Api::AlterTopics => $work::<thalweg_protocol::native::AlterTopicsRequest>($($argument),*),
            Api::DescribeTopics => $work::<thalweg_protocol::native::DescribeTopicsRequest>($($argument),*),
            Api::CompactTopics => $work::<thalweg_protocol::native::CompactTopicsRequest>($($argument),*),
            Api::Produce => $work::<thalweg_protocol::native::ProduceRequest>($($argument),*),
            Api::Fetch => $work::<thalweg_protocol::native::FetchRequest>($($argument),*),
            Api::ListOffsets => $work::<thalweg_protocol::native::ListOffsetsRequest>($($argument),*),
            Api::InitProducer => $work::<thalweg_protocol::native::InitProducerRequest>($($argument),*),
            Api::LeaderEpoch => $work::<thalweg_protocol::native::LeaderEpochRequest>($($argument),*),
            Api::DeleteRecords => $work::<thalweg_protocol::native::DeleteRecordsRequest>($($argument),*),
            Api::FindCoordinator => $work::<thalweg_protocol::native::FindCoordinatorRequest>($($argument),*),
            Api::GroupHeartbeat => $work::<thalweg_protocol::native::GroupHeartbeatRequest>($($argument),*),
            Api::CommitOffsets => $work::<thalweg_protocol::native::CommitOffsetsRequest>($($argument),*),
            Api::FetchOffsets => $work::<thalweg_protocol::native::FetchOffsetsRequest>($($argument),*),
            Api::DescribeGroups => $work::<thalweg_protocol::native::DescribeGroupsRequest>($($argument),*),
            Api::ListGroups => $work::<thalweg_protocol::native::ListGroupsRequest>($($argument),*),
            Api::DeleteGroups => $work::<thalweg_protocol::native::DeleteGroupsRequest>($($argument),*),
            Api::DeleteOffsets => $work::<thalweg_protocol::native::DeleteOffsetsRequest>($($argument),*),
        }
    };
}
pub(crate) use by_api;

/// Decodes what follows a frame's length, drops the value, and says what went wrong.
pub(crate) fn decode(kind: Kind, api: u16, frame: Bytes) -> Result<(), DecodeError> {
    echo(kind, api, frame).map(drop)
}

/// Decodes what follows a frame's length and gives the frame that the value encodes to.
pub(crate) fn echo(kind: Kind, api: u16, frame: Bytes) -> Result<Vec<u8>, DecodeError> {
    match kind {
        Kind::Preface => panic!("the preface is no frame"),
        Kind::Request => {
            let (header, body) = decode_request_header(frame)?;
            by_api!(Api::from_number(api).unwrap(), echo_request(&header, body))
        }
        Kind::Response | Kind::ResponseError | Kind::ResponseNewer => {
            let (header, body) = decode_response_header(frame)?;
            if header.error.is_some() {
                body.finish("answer with an error")?;
                return Ok(error_frame(&header).concat());
            }
            // The error's vector belongs to no request; a changed one may lose its error.
            let Some(api) = Api::from_number(api) else { return Ok(Vec::new()) };
            by_api!(api, echo_response(&header, body))
        }
    }
}

fn echo_request<R: Request>(header: &RequestHeader, body: Reader) -> Result<Vec<u8>, DecodeError> {
    Ok(request_frame(header, &decode_body::<R>(body)?).concat())
}

fn echo_response<R: Request>(
    header: &ResponseHeader,
    body: Reader,
) -> Result<Vec<u8>, DecodeError> {
    Ok(response_frame(header, Some(&decode_body::<R::Response>(body)?)).concat())
}
