// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-gpu's commands: which there are, how long each is, and the header of every answer.
#include <endian.h>
#include <string.h>

#include "host-vmm/memory.h"
#include "host-vmm/virtio/gpu_private.h"

/* num_capsets is 0, so that no index is one. */
static uint32_t get_capset_info(struct gpu_request *request)
{
	return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER, "no capability sets");
}

static const struct {
	uint32_t type;
	const char *name;
	unsigned int queue;
	size_t len; /* of the fixed part */
	uint32_t (*serve)(struct gpu_request *request);
} commands[] = {
	{ VIRTIO_GPU_CMD_GET_DISPLAY_INFO, "GET_DISPLAY_INFO", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_ctrl_hdr), gpu_get_display_info },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, "RESOURCE_CREATE_2D", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_resource_create_2d), gpu_resource_create_2d },
	{ VIRTIO_GPU_CMD_RESOURCE_UNREF, "RESOURCE_UNREF", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_resource_unref), gpu_resource_unref },
	{ VIRTIO_GPU_CMD_SET_SCANOUT, "SET_SCANOUT", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_set_scanout), gpu_set_scanout },
	{ VIRTIO_GPU_CMD_RESOURCE_FLUSH, "RESOURCE_FLUSH", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_resource_flush), gpu_flush },
	{ VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, "TRANSFER_TO_HOST_2D", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_transfer_to_host_2d), gpu_transfer },
	{ VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, "RESOURCE_ATTACH_BACKING", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_resource_attach_backing), gpu_resource_attach },
	{ VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, "RESOURCE_DETACH_BACKING", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_resource_detach_backing), gpu_resource_detach },
	{ VIRTIO_GPU_CMD_GET_CAPSET_INFO, "GET_CAPSET_INFO", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_get_capset_info), get_capset_info },
	{ VIRTIO_GPU_CMD_GET_EDID, "GET_EDID", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_cmd_get_edid), gpu_get_edid },
	{ VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, "RESOURCE_CREATE_BLOB", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_resource_create_blob), gpu_resource_create_blob },
	{ VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, "SET_SCANOUT_BLOB", GPU_QUEUE_CONTROL,
	  sizeof(struct virtio_gpu_set_scanout_blob), gpu_set_scanout_blob },
	{ VIRTIO_GPU_CMD_UPDATE_CURSOR, "UPDATE_CURSOR", GPU_QUEUE_CURSOR,
	  sizeof(struct virtio_gpu_update_cursor), gpu_update_cursor },
	{ VIRTIO_GPU_CMD_MOVE_CURSOR, "MOVE_CURSOR", GPU_QUEUE_CURSOR,
	  sizeof(struct virtio_gpu_update_cursor), gpu_move_cursor },
};

static uint32_t dispatch(struct gpu_request *request, unsigned int queue, const char **ret_name)
{
	const struct virtq_chain *chain = request->chain;
	size_t len = memory_iov_read(chain->iov, chain->n_out, 0, &request->command,
				     sizeof(request->command));
	uint32_t type = le32toh(request->command.header.type);

	if (len < sizeof(request->command.header))
		return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_UNSPEC, "shorter than its header");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (commands[i].type != type || commands[i].queue != queue)
			continue;
		*ret_name = commands[i].name;
		if (len < commands[i].len)
			return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_UNSPEC, "too short");
		return commands[i].serve(request);
	}
	return gpu_refuse(request, VIRTIO_GPU_RESP_ERR_UNSPEC, "unknown");
}

void gpu_serve(struct gpu_request *request, unsigned int queue)
{
	struct virtio_gpu_ctrl_hdr *header = &request->response->header;
	const struct virtio_gpu_ctrl_hdr *asked = &request->command.header;
	const char *name = "command";
	uint32_t code;

	memset(&request->command, 0, sizeof(request->command));
	request->response_len = sizeof(*header);
	code = dispatch(request, queue, &name);
	if (request->why) {
		request->response_len = sizeof(*header);
		log_ratelimited(&request->gpu->log_limit, LOG_LEVEL_WARN,
				"%s: %s (0x%x) refused: %s", request->gpu->model.device.name, name,
				le32toh(asked->type), request->why);
	}
	*header = (struct virtio_gpu_ctrl_hdr){ .type = htole32(code) };
	if (asked->flags & htole32(VIRTIO_GPU_FLAG_FENCE)) {
		header->flags = htole32(VIRTIO_GPU_FLAG_FENCE);
		header->fence_id = asked->fence_id;
		header->ctx_id = asked->ctx_id;
	} else {
		request->flushed = 0;
	}
}
